import { createServer, type IncomingMessage, type RequestListener, type Server as HttpListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsListener } from 'node:https';
import type { Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { Injectable } from '@nestjs/common';
import { AppError, Logger, internal } from '#kernel';
import { Authenticator, ClusterCertificates } from '#platform/auth';
import type { CorsSettings } from './cors.js';
import { encodeError, rawErrorResponse } from './error-response.js';
import { parseListenAddress, type ListenAddress } from './listen-address.js';
import { bound, listenOnUnixSocket } from './unix-listener.js';
import { RequestRouter } from './request-router.js';
import { WebSocketRouter } from './websocket-router.js';
import { WebSocketUpgrades } from './websocket-upgrades.js';

/** Names of the network listeners, one for each `core.*_address` that speaks HTTPS. */
export type TlsListenerName = 'https' | 'cluster' | 'metrics';

export interface TlsListenerOptions {
  /** Only these paths are served, and no websockets; everything else is 404. */
  readonly onlyPaths?: readonly string[];
}

interface TlsListener {
  readonly address: string;
  readonly server: HttpsListener;
}

const keepAliveMs = 120_000;

/**
 * All sockets the API is reachable on; they share one routing. The unix socket is opened once by the app, network listeners come
 * and go with the configuration. A listener that is replaced stops accepting at once, its open connections live on.
 */
@Injectable()
export class HttpServer {
  /** Headers of `core.https_allowed_*`; features/server keeps them up to date. */
  readonly cors: CorsSettings = { origin: '', methods: '', headers: '', credentials: false };
  /** Paths anybody may use, as if trusted (`core.metrics_authentication` off). */
  openPaths: readonly string[] = [];
  /** Take over connections on which only their protocol (of ALPN) was offered, once the peer has shown a member's certificate; bound by platform/peers. */
  memberConnections: ReadonlyMap<string, (socket: TLSSocket) => void> = new Map();
  private handler: RequestListener | undefined;
  private readonly upgrades: WebSocketUpgrades;
  private readonly locals: HttpListener[] = [];
  private readonly network = new Map<TlsListenerName, TlsListener>();
  private readonly connections = new Set<Socket>();
  /** Those of other members, whose streams last. */
  private readonly members = new Set<TLSSocket>();

  constructor(
    router: WebSocketRouter,
    private readonly authenticator: Authenticator,
    private readonly certificates: ClusterCertificates,
    private readonly logger: Logger,
    members: RequestRouter,
  ) {
    certificates.onChange(() => this.showCertificate());
    this.upgrades = new WebSocketUpgrades(router, authenticator, members, logger);
  }

  /** The routing; called by the app factory. */
  attach(handler: RequestListener): void {
    this.handler = handler;
  }

  /** Opens the unix socket, mode 0660. */
  async listenUnix(path: string, group?: string): Promise<void> {
    const server = this.makeLocal();
    await listenOnUnixSocket(server, path, group);
    this.logger.info('Binding socket', { socket: path, type: 'REST API Unix socket' });
  }

  /** Takes over the socket systemd opened for us (descriptor 3); false when it opened none. */
  async listenActivated(environment: NodeJS.ProcessEnv = process.env): Promise<boolean> {
    if (environment.LISTEN_PID !== String(process.pid) || !(Number(environment.LISTEN_FDS) > 0)) return false;
    const server = this.makeLocal();
    await bound(server, () => server.listen({ fd: 3 }));
    return true;
  }

  /**
   * Opens, moves or (null, empty) closes a network listener. Errors have LXD's wording and leave the former listener as it was,
   * except that one on the same port has to be closed first.
   */
  async setListener(name: TlsListenerName, address: string | null, options: TlsListenerOptions = {}): Promise<void> {
    const former = this.network.get(name);
    if ((address ?? '') === (former?.address ?? '')) return;
    if (address === null || address === '') {
      this.network.delete(name);
      former?.server.close();
      return;
    }
    const target = parseListenAddress(address);
    const mustCloseFirst = former !== undefined && parseListenAddress(former.address).port === target.port;
    // The port is free as soon as `close` was called; waiting for it to finish would wait for the request that asked for this.
    if (mustCloseFirst) former.server.close();
    const server = this.makeTls(options);
    try {
      await bind(server, target, address, name);
    } catch (error) {
      if (mustCloseFirst) await this.reopen(name, former, options);
      throw error;
    }
    if (!mustCloseFirst) former?.server.close();
    this.network.set(name, { address, server });
    this.logger.info('Binding socket', { socket: address, type: 'REST API TCP socket' });
  }

  /** Address a listener is bound to, as `ip:port`; null when it is closed. With port 0 this is the one the system chose. */
  boundAddress(name: TlsListenerName): string | null {
    const bound_ = this.network.get(name)?.server.address();
    if (bound_ === null || bound_ === undefined || typeof bound_ === 'string') return null;
    return `${bound_.family === 'IPv6' ? `[${bound_.address}]` : bound_.address}:${bound_.port}`;
  }

  /** Stops accepting, ends idle connections and, after the grace time, the others. */
  async close(graceMs = 0): Promise<void> {
    const servers: (HttpListener | HttpsListener)[] = [...this.locals, ...[...this.network.values()].map((l) => l.server)];
    this.locals.length = 0;
    this.network.clear();
    const all = Promise.all(servers.map(closed));
    for (const server of servers) server.closeIdleConnections();
    // They are open for as long as both members are, so waiting for them would take the whole grace time.
    for (const socket of this.members) socket.destroy();
    const timer = setTimeout(() => {
      for (const socket of this.connections) socket.destroy();
    }, graceMs);
    await all;
    clearTimeout(timer);
  }

  /** New connections see it; those that are open go on. */
  private showCertificate(): void {
    const { certificate, key } = this.certificates.presented;
    for (const { server } of this.network.values()) server.setSecureContext({ cert: certificate, key, minVersion: 'TLSv1.3' });
  }

  private makeLocal(): HttpListener {
    const server = createServer({ keepAlive: true, keepAliveTimeout: keepAliveMs, shouldUpgradeCallback: (request: IncomingMessage) => this.upgrades.wants(request) }, this.route());
    this.locals.push(server);
    this.prepare(server);
    return server;
  }

  private makeTls(options: TlsListenerOptions): HttpsListener {
    const { certificate, key } = this.certificates.presented;
    const server = createTlsServer(
      {
        cert: certificate,
        key,
        minVersion: 'TLSv1.3',
        requestCert: true,
        rejectUnauthorized: false,
        // Browsers and curl offer h2 first; REST is HTTP/1.1 here, and h2 alone, or their own protocol, is what members speak with each other (hazards F1).
        ALPNCallback: ({ protocols }) => (protocols.includes('http/1.1') ? 'http/1.1' : protocols.length === 1 && this.memberConnections.has(protocols[0]!) ? protocols[0] : undefined),
        keepAliveTimeout: keepAliveMs,
        shouldUpgradeCallback: (request: IncomingMessage) => options.onlyPaths === undefined && this.upgrades.wants(request),
      },
      this.route(options.onlyPaths),
    );
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.divert(server);
    this.prepare(server);
    return server;
  }

  /** Who speaks anything but HTTP/1.1 is a member or is refused. */
  private divert(server: HttpsListener): void {
    const others = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[];
    server.removeAllListeners('secureConnection');
    server.on('secureConnection', (socket) => {
      const protocol = socket.alpnProtocol;
      if (typeof protocol !== 'string' || protocol === 'http/1.1') {
        for (const listener of others) listener.call(server, socket);
        return;
      }
      const take = this.memberConnections.get(protocol);
      if (take === undefined || this.authenticator.identify(socket).memberId === undefined) return void socket.destroy();
      this.members.add(socket);
      socket.once('close', () => this.members.delete(socket));
      take(socket);
    });
  }

  private prepare(server: HttpListener | HttpsListener): void {
    // Uploads and `wait` calls last as long as they last.
    server.requestTimeout = 0;
    server.headersTimeout = 60_000;
    server.on('connection', (socket: Socket) => {
      socket.setNoDelay(true);
      this.connections.add(socket);
      socket.once('close', () => this.connections.delete(socket));
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.upgrades.handle(request, socket, head));
    server.on('clientError', answerMalformed);
  }

  private route(onlyPaths?: readonly string[]): RequestListener {
    const { handler } = this;
    if (handler === undefined) throw internal('The HTTP server has no routing yet');
    if (onlyPaths === undefined) return handler;
    return (request, response) => {
      if (onlyPaths.includes(request.url?.split('?', 1)[0] ?? '')) handler(request, response);
      else answerNotFound(response);
    };
  }

  private async reopen(name: TlsListenerName, former: TlsListener, options: TlsListenerOptions): Promise<void> {
    const server = this.makeTls(options);
    this.network.delete(name);
    await bind(server, parseListenAddress(former.address), former.address, name);
    this.network.set(name, { address: former.address, server });
  }
}

function answerNotFound(response: ServerResponse): void {
  response.writeHead(404, { 'Content-Type': 'application/json' }).end(encodeError(404, 'not found'));
}

/** Requests Node's parser refused. Methods it does not know are answered as LXD answers them. */
function answerMalformed(error: Error & { code?: string; rawPacket?: Buffer }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (error.code === 'HPE_INVALID_METHOD') {
    const method = /^([A-Za-z]+) /.exec(error.rawPacket?.toString('latin1') ?? '')?.[1] ?? '';
    if (method !== '') {
      socket.end(rawErrorResponse(404, encodeError(404, `Method "${method}" not found`)));
      return;
    }
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  socket.end(rawErrorResponse(tooLarge ? 431 : 400, tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request', { 'Content-Type': 'text/plain; charset=utf-8' }));
}

async function bind(server: HttpsListener, target: ListenAddress, text: string, name: TlsListenerName): Promise<void> {
  try {
    await bound(server as NetServer, () => server.listen({ host: target.host === '' ? '::' : target.host, port: target.port, backlog: 1024 }));
  } catch (error) {
    throw new AppError('internal', `Cannot listen on ${name === 'cluster' ? 'cluster' : 'network'} HTTPS socket "${text}": ${describeBindError(error, target, text)}`, { cause: error });
  }
}

function describeBindError(error: unknown, target: ListenAddress, text: string): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_SOCKET_BAD_PORT') return `listen tcp: address ${target.port}: invalid port`;
  const reasons: Record<string, string> = {
    EADDRINUSE: 'bind: address already in use',
    EADDRNOTAVAIL: 'bind: cannot assign requested address',
    EACCES: 'bind: permission denied',
  };
  return `listen tcp ${text}: ${reasons[code ?? ''] ?? (error as Error).message}`;
}

function closed(server: HttpListener | HttpsListener): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
