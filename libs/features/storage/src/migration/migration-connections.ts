import type { WebSocket } from 'ws';
import { ApiClient, type ProxySettings } from '#client';
import { AppError, internal, invalid, messageOf, randomHex, unavailable } from '#kernel';
import { untilAborted } from './until-aborted.js';

/** The two websockets of a migration: messages, and files. */
export interface MigrationConnections {
  readonly control: WebSocket;
  readonly fs: WebSocket;
}

/** Connections of a migration by their secrets, as an operation's metadata has them. */
export type MigrationSecrets = Readonly<Record<string, string>>;

const names = ['control', 'fs'] as const;
const patienceMs = 30_000;

/** Waits for the other side, or for a client between both, to connect to an operation. */
export class AwaitedConnections {
  readonly secrets: MigrationSecrets = Object.fromEntries(names.map((name) => [name, randomHex(32)]));
  private readonly sockets = new Map<string, WebSocket>();
  private readonly taken = new Set<string>();
  private readonly complete = Promise.withResolvers<void>();
  private closed = false;

  /** @throws `internal` in LXD's words for a secret that is wrong or used. */
  async connect(secret: string, accept: () => Promise<WebSocket>): Promise<void> {
    const name = names.find((candidate) => this.secrets[candidate] === secret);
    if (name === undefined || this.taken.has(name) || this.closed) throw internal('permission denied');
    this.taken.add(name);
    const socket = await accept();
    // An error is followed by a close; what comes before anybody listens waits.
    socket.on('error', () => {});
    socket.pause();
    this.sockets.set(name, socket);
    if (names.every((needed) => this.sockets.has(needed))) this.complete.resolve();
  }

  /** @throws `internal` when nobody comes. */
  async wait(signal: AbortSignal): Promise<MigrationConnections> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(internal('Timed out waiting for migration connections')), patienceMs);
    try {
      await untilAborted(this.complete.promise, AbortSignal.any([signal, late.signal]));
      return { control: this.sockets.get('control')!, fs: this.sockets.get('fs')! };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Those that came go; nobody else is let in. */
  close(): void {
    this.closed = true;
    for (const socket of this.sockets.values()) endSocket(socket);
  }
}

/** Where the other side's operation is. */
export interface MigrationAddress {
  /** Example: https://10.0.0.1:8443/1.0/operations/7b9c... */
  readonly operation: string;
  readonly secrets: MigrationSecrets;
  /** PEM of the other server's certificate; empty where an authority signed it. */
  readonly certificate: string;
}

/** @throws `invalid` for an address nobody could connect to. */
export function checkAddress({ operation, secrets }: MigrationAddress): void {
  let url: URL;
  try {
    url = new URL(operation);
  } catch {
    throw invalid('Invalid URL of the migration operation');
  }
  if (url.protocol !== 'https:' || !/^\/1\.0\/operations\/[^/]+$/.test(url.pathname)) throw invalid('Invalid URL of the migration operation');
  for (const name of names) if (!secrets[name]) throw invalid(`Missing ${name} secret`);
}

/** Connects to the other side's operation. */
export class DialledConnections {
  private readonly client: ApiClient;
  private readonly path: string;
  private readonly opened: WebSocket[] = [];
  private closed = false;

  constructor(private readonly address: MigrationAddress, proxy: ProxySettings, userAgent: string, timeoutMs = patienceMs) {
    const url = new URL(address.operation);
    this.path = url.pathname;
    this.client = new ApiClient({ url: url.origin, certificate: address.certificate, proxy }, { userAgent, idleTimeoutMs: { read: timeoutMs, write: timeoutMs } });
  }

  async wait(signal: AbortSignal): Promise<MigrationConnections> {
    try {
      const [control, fs] = [await untilAborted(this.open('control'), signal), await untilAborted(this.open('fs'), signal)];
      return { control, fs };
    } catch (error) {
      this.close();
      throw AppError.is(error) ? error : unavailable(messageOf(error), { cause: error });
    }
  }

  close(): void {
    this.closed = true;
    for (const socket of this.opened) endSocket(socket);
    this.client.close();
  }

  private open(name: string): Promise<WebSocket> {
    return this.client.webSocket(`${this.path}/websocket?secret=${encodeURIComponent(this.address.secrets[name]!)}`, (socket) => {
      socket.on('error', () => {});
      if (this.closed) return socket.terminate();
      this.opened.push(socket);
      socket.once('open', () => socket.pause());
    });
  }
}

/** Says goodbye and hangs up if that is not answered. */
function endSocket(socket: WebSocket): void {
  socket.resume();
  socket.close(1000);
  setTimeout(() => socket.terminate(), 5000).unref();
}
