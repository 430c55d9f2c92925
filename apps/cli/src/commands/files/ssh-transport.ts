import { createCipheriv, createDecipheriv, createHash, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';
import { invalid } from '#kernel';
import { Reader, message, mpint, string, uint32 } from './ssh-wire.js';

const ownVersion = 'SSH-2.0-roost';
const longestPacket = 256 * 1024;
const ciphers: Readonly<Record<string, number>> = { 'aes256-gcm@openssh.com': 32, 'aes128-gcm@openssh.com': 16 };
const kexNames = ['curve25519-sha256', 'curve25519-sha256@libssh.org'];

interface Keys {
  readonly name: 'aes-256-gcm' | 'aes-128-gcm';
  readonly key: Buffer;
  readonly iv: Buffer;
}

/** A key of a host, and what a client knows it by. */
export interface HostKey {
  readonly privateKey: KeyObject;
  /** `ssh-ed25519` and the point */
  readonly blob: Buffer;
}

export function makeHostKey(): HostKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, blob: Buffer.concat([string('ssh-ed25519'), string(rawKey(publicKey))]) };
}

const rawKey = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' })['x'] as string, 'base64url');

/**
 * The transport layer of SSH (RFC 4253), as a server: one way to agree on keys (curve25519), one kind of host key (ed25519), one of encryption (AES-GCM),
 * which every client of the last ten years knows. Keys are agreed on again whenever the client wants.
 */
export class SshTransport {
  private buffer: Buffer = Buffer.alloc(0);
  private clientVersion = '';
  private ownInit: Buffer = Buffer.alloc(0);
  private clientInit: Buffer = Buffer.alloc(0);
  private sessionId: Buffer | undefined;
  private incoming: Keys | undefined;
  private outgoing: Keys | undefined;
  private next: Keys | undefined;
  private chosen: readonly [string, string] = ['', ''];
  private agreeing = false;
  private held: Buffer[] = [];

  constructor(private readonly socket: Socket, private readonly hostKey: HostKey, private readonly onMessage: (payload: Buffer) => void) {
    socket.write(`${ownVersion}\r\n`);
    socket.on('data', (data: Buffer) => {
      try {
        this.buffer = Buffer.concat([this.buffer, data]);
        this.read();
      } catch {
        socket.destroy();
      }
    });
  }

  /** False when the client takes no more for now. While keys are being agreed on, messages wait. */
  send(payload: Buffer): boolean {
    if (this.agreeing && payload[0]! > 49) {
      this.held.push(payload);
      return true;
    }
    return this.write(payload);
  }

  private write(payload: Buffer): boolean {
    const keys = this.outgoing;
    const block = keys === undefined ? 8 : 16;
    const unpadded = payload.length + 1 + (keys === undefined ? 4 : 0);
    let padding = block - (unpadded % block);
    if (padding < 4) padding += block;
    const body = Buffer.concat([Buffer.from([padding]), payload, randomBytes(padding)]);
    const length = uint32(body.length);
    if (keys === undefined) return this.socket.write(Buffer.concat([length, body]));
    const cipher = createCipheriv(keys.name, keys.key, keys.iv);
    cipher.setAAD(length);
    const sealed = Buffer.concat([length, cipher.update(body), cipher.final(), cipher.getAuthTag()]);
    count(keys.iv);
    return this.socket.write(sealed);
  }

  private read(): void {
    if (this.clientVersion === '') {
      const end = this.buffer.indexOf('\n');
      if (end < 0) {
        if (this.buffer.length > 255) throw invalid('This is no SSH client');
        return;
      }
      this.clientVersion = this.buffer.subarray(0, end).toString('latin1').replace(/\r$/, '');
      if (!this.clientVersion.startsWith('SSH-2.0-')) throw invalid('This is no SSH client');
      this.buffer = this.buffer.subarray(end + 1);
      this.sendInit();
    }
    for (let payload = this.packet(); payload !== undefined; payload = this.packet()) this.handle(payload);
  }

  /** The next whole packet, opened. */
  private packet(): Buffer | undefined {
    if (this.buffer.length < 4) return undefined;
    const length = this.buffer.readUInt32BE(0);
    if (length < 5 || length > longestPacket) throw invalid('The SSH client sent a packet of an impossible length');
    const keys = this.incoming;
    const total = 4 + length + (keys === undefined ? 0 : 16);
    if (this.buffer.length < total) return undefined;
    let body = this.buffer.subarray(4, 4 + length);
    if (keys !== undefined) {
      const cipher = createDecipheriv(keys.name, keys.key, keys.iv);
      cipher.setAAD(this.buffer.subarray(0, 4));
      cipher.setAuthTag(this.buffer.subarray(4 + length, total));
      body = Buffer.concat([cipher.update(body), cipher.final()]);
      count(keys.iv);
    }
    this.buffer = this.buffer.subarray(total);
    return body.subarray(1, body.length - body[0]!);
  }

  private handle(payload: Buffer): void {
    switch (payload[0]) {
      case 1: return void this.socket.end();
      case 2: case 3: case 4: return;
      case 20: return this.onInit(payload);
      case 30: return this.onExchange(new Reader(payload.subarray(1)).bytes());
      case 21:
        this.incoming = this.next;
        this.agreeing = false;
        for (const held of this.held.splice(0)) this.write(held);
        return;
      default:
        if (this.incoming === undefined) throw invalid('The SSH client speaks before keys are agreed on');
        this.onMessage(payload);
    }
  }

  private sendInit(): void {
    const cipherNames = Object.keys(ciphers).join(',');
    const lists = [kexNames.join(','), 'ssh-ed25519', cipherNames, cipherNames, 'hmac-sha2-256', 'hmac-sha2-256', 'none', 'none', '', ''];
    this.ownInit = message(20, randomBytes(16), ...lists.map((list) => string(list)), Buffer.from([0]), uint32(0));
    this.agreeing = true;
    this.write(this.ownInit);
  }

  private onInit(payload: Buffer): void {
    if (!this.agreeing) this.sendInit();
    this.clientInit = Buffer.from(payload);
    const reader = new Reader(payload);
    reader.take(17);
    const [kex, hostKeys, toServer, toClient] = [reader.names(), reader.names(), reader.names(), reader.names()];
    const choose = (names: readonly string[]): string => {
      const found = names.find((name) => ciphers[name] !== undefined);
      if (found === undefined) throw invalid('The SSH client knows no AES-GCM');
      return found;
    };
    if (!kex.some((name) => kexNames.includes(name)) || !hostKeys.includes('ssh-ed25519')) throw invalid('The SSH client knows neither curve25519 nor ed25519');
    this.chosen = [choose(toServer), choose(toClient)];
  }

  private onExchange(clientPoint: Buffer): void {
    const own = generateKeyPairSync('x25519');
    const theirs = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: clientPoint.toString('base64url') }, format: 'jwk' });
    const secret = mpint(diffieHellman({ privateKey: own.privateKey, publicKey: theirs }));
    const point = rawKey(own.publicKey);
    const hash = createHash('sha256').update(Buffer.concat([
      string(this.clientVersion), string(ownVersion), string(this.clientInit), string(this.ownInit), string(this.hostKey.blob), string(clientPoint), string(point), secret,
    ])).digest();
    this.sessionId ??= hash;
    const signature = Buffer.concat([string('ssh-ed25519'), string(sign(null, hash, this.hostKey.privateKey))]);
    this.write(message(31, string(this.hostKey.blob), string(point), string(signature)));
    this.write(message(21));
    const derive = (letter: string, length: number): Buffer => {
      let found = createHash('sha256').update(Buffer.concat([secret, hash, Buffer.from(letter), this.sessionId!])).digest();
      while (found.length < length) found = Buffer.concat([found, createHash('sha256').update(Buffer.concat([secret, hash, found])).digest()]);
      return Buffer.from(found.subarray(0, length));
    };
    const keys = (name: string, iv: string, key: string): Keys => ({ name: ciphers[name] === 32 ? 'aes-256-gcm' : 'aes-128-gcm', key: derive(key, ciphers[name]!), iv: derive(iv, 12) });
    this.next = keys(this.chosen[0], 'A', 'C');
    this.outgoing = keys(this.chosen[1], 'B', 'D');
  }
}

/** The last eight bytes count the packets. */
function count(iv: Buffer): void {
  iv.writeBigUInt64BE(BigInt.asUintN(64, iv.readBigUInt64BE(4) + 1n), 4);
}
