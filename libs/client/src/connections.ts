import { Agent, request as httpRequest, type ClientRequestArgs } from 'node:http';
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { unavailable } from '#kernel';
import { connectionError } from './connection-errors.js';
import { crypto, tls } from './late-modules.js';
import { proxyAuthorization, proxyFor, type ProxySettings } from './proxies.js';

export interface ConnectionSettings {
  /** Connect here instead of to the host in the URL. */
  readonly socketPath?: string;
  /** PEM of the only certificate (or authority) the server may show; empty or absent: the system's authorities decide. */
  readonly certificate?: string;
  /** Client certificate and key, PEM. */
  readonly client?: { readonly certificate: string; readonly key: string };
  readonly proxy?: ProxySettings;
}

const connectTimeoutMs = 10_000;

type Done = (error: Error | null, socket?: Socket) => void;

/** Keeps connections of one scheme alive; makes them as `settings` say. The TLS check is over before the first byte of a request leaves. */
export class ConnectionPool extends Agent {
  readonly protocol: string;
  readonly defaultPort: number;
  private ended = false;

  constructor(scheme: 'http:' | 'https:', private readonly settings: ConnectionSettings) {
    super({ keepAlive: true, maxSockets: 64 });
    this.protocol = scheme;
    this.defaultPort = scheme === 'https:' ? 443 : 80;
  }

  override createConnection(options: ClientRequestArgs, done?: (error: Error | null, stream: Socket) => void): null {
    const host = String(options.host ?? 'localhost').replace(/^\[(.*)\]$/, '$1');
    const port = Number(options.port ?? this.defaultPort);
    void this.open(host, port).then((socket) => done?.(null, socket), (error: Error) => (done as Done | undefined)?.(error));
    return null;
  }

  override destroy(): void {
    this.ended = true;
    super.destroy();
  }

  /** A connection that was under way when its request was given up comes when nobody will ask for it any more. */
  override keepSocketAlive(socket: Duplex): boolean {
    return !this.ended && (super.keepSocketAlive(socket) as unknown as boolean);
  }

  private async open(host: string, port: number): Promise<Socket> {
    const { socketPath, proxy } = this.settings;
    if (socketPath !== undefined) return waitFor(connectSocket({ path: socketPath }), 'connect', socketPath);
    const via = proxy === undefined ? null : proxyFor(this.protocol, host, proxy);
    if (this.protocol === 'http:') {
      const to = via === null ? { host, port } : addressOf(via);
      return waitFor(connectSocket({ ...to, noDelay: true }), 'connect', `${to.host}:${to.port}`);
    }
    const direct = (): Promise<Socket> => waitFor(connectSocket({ host, port, noDelay: true }), 'connect', `${host}:${port}`);
    const tunnel = via === null ? await direct() : await tunnelThrough(via, host, port);
    return this.secure(tunnel, host, port);
  }

  private async secure(tunnel: Socket, host: string, port: number): Promise<Socket> {
    const { certificate, client } = this.settings;
    const pinned = certificate !== undefined && certificate !== '';
    const options: ConnectionOptions = {
      socket: tunnel, ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.2',
      servername: isIP(host) === 0 ? host : undefined,
      host,
      ca: pinned ? [certificate] : authorities(),
      rejectUnauthorized: !pinned,
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    };
    const socket = await waitFor(tls().connect(options), 'secureConnect', `${host}:${port}`);
    if (pinned && !socket.authorized && !showsCertificate(socket, certificate)) {
      socket.destroy();
      throw unavailable('x509: certificate signed by unknown authority');
    }
    return socket;
  }
}

function showsCertificate(socket: TLSSocket, pem: string): boolean {
  const shown = socket.getPeerX509Certificate();
  return shown !== undefined && shown.raw.equals(new (crypto().X509Certificate)(pem).raw);
}

let systemAuthorities: string[] | undefined;

/** The system's authorities and those Node ships, since a container image may lack the former. */
function authorities(): string[] {
  systemAuthorities ??= [...new Set([...tls().getCACertificates('system'), ...tls().getCACertificates('default')])];
  return systemAuthorities;
}

/** Resolves with the socket after `event`; destroys it and rejects on error or time-out. */
function waitFor<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', target: string): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<S>();
  const timer = setTimeout(() => fail(unavailable(`Unable to connect to: ${target} ([dial tcp ${target}: i/o timeout])`)), connectTimeoutMs);
  const fail = (error: Error): void => {
    clearTimeout(timer);
    socket.destroy();
    reject(connectionError(error, target));
  };
  const closed = (): void => fail(unavailable(`${target}: EOF`));
  socket.once('error', fail);
  socket.once('close', closed);
  socket.once(event, () => {
    clearTimeout(timer);
    socket.off('error', fail);
    socket.off('close', closed);
    resolve(socket);
  });
  return promise;
}

function addressOf(proxy: URL): { host: string; port: number } {
  return { host: proxy.hostname, port: proxy.port === '' ? 80 : Number(proxy.port) };
}

/** A connection to `host:port` through the proxy's CONNECT. */
export function tunnelThrough(proxy: URL, host: string, port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const authorization = proxyAuthorization(proxy);
  const { host: proxyHost, port: proxyPort } = addressOf(proxy);
  const request = httpRequest({
    host: proxyHost, port: proxyPort, method: 'CONNECT', path: target, agent: false, timeout: connectTimeoutMs,
    headers: { host: target, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
  });
  request.once('connect', (answer, socket) => {
    if (answer.statusCode === 200) return resolve(socket);
    socket.destroy();
    reject(unavailable(`Proxy "${proxy.host}" refused the connection to "${target}": ${answer.statusCode} ${answer.statusMessage}`));
  });
  request.once('timeout', () => request.destroy(unavailable(`Proxy "${proxy.host}" did not answer in time`)));
  request.once('error', (error) => reject(connectionError(error, proxy.host)));
  request.end();
  return promise;
}
