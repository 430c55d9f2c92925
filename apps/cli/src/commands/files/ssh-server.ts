import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { internal, messageOf } from '#kernel';
import { SshTransport, makeHostKey, type HostKey } from './ssh-transport.js';
import { Reader, message, string, uint32 } from './ssh-wire.js';

export interface SftpService {
  readonly host: string;
  readonly port: number;
  /** Who may come in; undefined: everybody. */
  readonly login: { readonly user: string; readonly password: string } | undefined;
  /** A connection that speaks SFTP. */
  readonly open: () => Promise<Duplex>;
}

const ownWindow = 2 * 1024 * 1024;
const attempts = 6;

export function makePassword(): string { return randomBytes(6).toString('base64url'); }

/** Listens for SSH clients that want files. Resolves with the port, and how to end it. */
export async function serveSftp(service: SftpService): Promise<{ readonly port: number; close(): void }> {
  const hostKey = makeHostKey();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    new SshConnection(socket, hostKey, service);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(internal(`Failed to listen for connection: ${messageOf(error)}`)));
    server.listen(service.port, service.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : service.port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Channel {
  readonly theirs: number;
  readonly longest: number;
  /** Bytes the client takes before it says more. */
  window: number;
  sftp: Duplex | undefined;
  waiting: Buffer[];
  /** What came before there was anybody to take it: clients do not wait for the answer to their request. */
  early: Buffer[];
  ended: boolean;
}

/** Authentication and channels (RFC 4252, 4254), as far as a session that asks for the subsystem `sftp` goes. */
class SshConnection {
  private readonly transport: SshTransport;
  private readonly channels = new Map<number, Channel>();
  private trusted = false;
  private failures = 0;
  private lastChannel = 0;

  constructor(private readonly socket: Socket, hostKey: HostKey, private readonly service: SftpService) {
    this.transport = new SshTransport(socket, hostKey, (payload) => this.handle(payload[0]!, new Reader(payload.subarray(1))));
    socket.once('close', () => { for (const channel of this.channels.values()) channel.sftp?.destroy(); });
  }

  private handle(number: number, reader: Reader): void {
    if (number === 5) return void this.transport.send(message(6, string(reader.text())));
    if (number === 50) return this.authenticate(reader);
    if (!this.trusted) return void this.socket.destroy();
    switch (number) {
      case 80: {
        reader.text();
        if (reader.bool()) this.transport.send(message(82));
        return;
      }
      case 90: return this.openChannel(reader);
      case 93: return this.more(reader.uint32(), reader.uint32());
      case 94: return this.input(reader.uint32(), reader.bytes());
      case 96: return void this.channels.get(reader.uint32())?.sftp?.end();
      case 97: return this.closeChannel(reader.uint32());
      case 98: return this.request(reader);
      default: this.transport.send(message(3, uint32(0)));
    }
  }

  private authenticate(reader: Reader): void {
    const [user, , method] = [reader.text(), reader.text(), reader.text()];
    const { login } = this.service;
    const given = method === 'password' ? (reader.bool(), reader.text()) : '';
    if (login === undefined || (method === 'password' && same(user, login.user) && same(given, login.password))) {
      this.trusted = true;
      return void this.transport.send(message(52));
    }
    if (method === 'password' && ++this.failures >= attempts) return void this.socket.destroy();
    this.transport.send(message(51, string('password'), Buffer.from([0])));
  }

  private openChannel(reader: Reader): void {
    const [type, theirs, window, longest] = [reader.text(), reader.uint32(), reader.uint32(), reader.uint32()];
    if (type !== 'session' || this.channels.size >= 16) return void this.transport.send(message(92, uint32(theirs), uint32(1), string('Only sessions'), string('')));
    const own = this.lastChannel++;
    this.channels.set(own, { theirs, window, longest: Math.min(longest, 32 * 1024), sftp: undefined, waiting: [], early: [], ended: false });
    this.transport.send(message(91, uint32(theirs), uint32(own), uint32(ownWindow), uint32(32 * 1024)));
  }

  private request(reader: Reader): void {
    const [own, type, wantsReply] = [reader.uint32(), reader.text(), reader.bool()];
    const channel = this.channels.get(own);
    if (channel === undefined) return;
    const reply = (good: boolean): void => { if (wantsReply) this.transport.send(message(good ? 99 : 100, uint32(channel.theirs))); };
    if (type !== 'subsystem' || reader.text() !== 'sftp' || channel.sftp !== undefined) return reply(false);
    this.service.open().then((sftp) => {
      channel.sftp = sftp;
      sftp.on('data', (data: Buffer) => this.output(channel, data));
      sftp.once('close', () => this.finish(channel));
      sftp.once('end', () => this.finish(channel));
      sftp.on('error', () => this.finish(channel));
      reply(true);
      for (const data of channel.early.splice(0)) this.input(own, data);
    }, () => reply(false));
  }

  private input(own: number, data: Buffer): void {
    const channel = this.channels.get(own);
    if (channel === undefined || channel.ended) return;
    const { sftp } = channel;
    if (sftp === undefined) return void channel.early.push(Buffer.from(data));
    // The client may send as much again once this much was taken.
    sftp.write(data, (error) => { if (!error) this.transport.send(message(93, uint32(channel.theirs), uint32(data.length))); });
  }

  private output(channel: Channel, data: Buffer): void {
    channel.waiting.push(data);
    this.flush(channel);
  }

  private flush(channel: Channel): void {
    while (channel.waiting.length > 0 && channel.window > 0) {
      const [first] = channel.waiting;
      const part = first!.subarray(0, Math.min(channel.window, channel.longest));
      this.transport.send(message(94, uint32(channel.theirs), string(part)));
      channel.window -= part.length;
      if (part.length === first!.length) channel.waiting.shift();
      else channel.waiting[0] = first!.subarray(part.length);
    }
    if (channel.waiting.length > 0) channel.sftp?.pause();
    else if (channel.sftp?.isPaused()) channel.sftp.resume();
  }

  private more(own: number, bytes: number): void {
    const channel = this.channels.get(own);
    if (channel === undefined) return;
    channel.window += bytes;
    this.flush(channel);
  }

  private finish(channel: Channel): void {
    if (channel.ended) return;
    channel.ended = true;
    this.transport.send(message(96, uint32(channel.theirs)));
    this.transport.send(message(97, uint32(channel.theirs)));
  }

  private closeChannel(own: number): void {
    const channel = this.channels.get(own);
    if (channel === undefined) return;
    this.finish(channel);
    channel.sftp?.destroy();
    this.channels.delete(own);
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
