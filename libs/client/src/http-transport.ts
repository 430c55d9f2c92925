import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { invalid, messageOf, unavailable, wrap, type AppError } from '#kernel';
import { ConnectionPool, type ConnectionSettings } from './connections.js';
import { connectionError } from './connection-errors.js';
import { describeRequest } from './exchange.js';
import { proxyAuthorization, proxyFor } from './proxies.js';

export interface HttpRequest {
  readonly method: string;
  /** Absolute. With a socket path the host part is not used. */
  readonly url: string;
  readonly headers?: OutgoingHttpHeaders;
  /** A stream is sent chunked unless `content-length` is among the headers. */
  readonly body?: string | Buffer | Readable;
  readonly signal?: AbortSignal;
  /** Gives up when no byte arrives for this long, the answer's body included; absent: never. */
  readonly idleTimeoutMs?: number;
}

const maxRedirects = 10;

/** HTTP with pinned certificates, unix sockets and proxies; answers are streams. Failures are `unavailable`, worded `Get "URL": why`. */
export class HttpTransport {
  private readonly pools: Record<string, ConnectionPool>;

  constructor(private readonly settings: ConnectionSettings = {}, private readonly userAgent = '') {
    this.pools = { 'http:': new ConnectionPool('http:', settings), 'https:': new ConnectionPool('https:', settings) };
  }

  /** The answer once its headers are there, whatever its status. Redirects of GET and HEAD are followed. */
  async request(options: HttpRequest): Promise<IncomingMessage> {
    let url = parseUrl(options.url);
    for (let hops = 0; ; hops++) {
      const answer = await this.once(url, options);
      const location = answer.headers.location;
      const moved = [301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) && ['GET', 'HEAD'].includes(options.method);
      if (!moved || location === undefined) return answer;
      answer.resume();
      if (hops >= maxRedirects) throw unavailable(`${describe(options.method, url)}: stopped after ${maxRedirects} redirects`);
      url = parseUrl(new URL(location, url).href);
    }
  }

  /** Asks for another protocol on the connection; an answer that is none goes to `refused`. Gives up when none comes in `timeoutMs`. */
  async upgrade(text: string, protocol: string, refused: (answer: IncomingMessage) => Promise<never>, timeoutMs?: number): Promise<Duplex> {
    const url = parseUrl(text);
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const request = httpRequest({
      protocol: url.protocol, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? undefined : Number(url.port),
      agent: this.pools[url.protocol], method: 'GET', path: this.target(url), headers: this.headers(url, { connection: 'Upgrade', upgrade: protocol }),
    });
    if (timeoutMs !== undefined) request.setTimeout(timeoutMs, () => request.destroy(unavailable(`no data for ${timeoutMs / 1000} seconds`)));
    request.once('upgrade', (_answer, socket, head) => {
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (answer) => refused(answer).catch(reject));
    request.once('error', (error) => reject(this.failure(error, url, { method: 'GET', url: text })));
    request.end();
    return promise;
  }

  /** The pool for a scheme, for upgrades to websockets. */
  pool(scheme: 'http:' | 'https:'): ConnectionPool {
    return this.pools[scheme]!;
  }

  /** Drops idle connections; call when done. */
  close(): void {
    for (const pool of Object.values(this.pools)) pool.destroy();
  }

  private async once(url: URL, options: HttpRequest): Promise<IncomingMessage> {
    const pool = this.pools[url.protocol];
    if (pool === undefined) throw invalid(`${describe(options.method, url)}: unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest({
      protocol: url.protocol, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? undefined : Number(url.port),
      agent: pool, method: options.method, path: this.target(url), headers: this.headers(url, options.headers), signal: options.signal,
    });
    if (options.idleTimeoutMs !== undefined) {
      request.setTimeout(options.idleTimeoutMs, () => request.destroy(unavailable(`no data for ${options.idleTimeoutMs! / 1000} seconds`)));
    }
    request.once('response', resolve);
    request.once('error', (error) => reject(this.failure(error, url, options)));
    const { body } = options;
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body);
    else void pipeline(body, request).catch((error: Error) => reject(this.failure(error, url, options)));
    return promise;
  }

  private failure(error: Error, url: URL, options: HttpRequest): AppError {
    if (options.signal?.aborted) return unavailable(`${describe(options.method, url)}: context canceled`, { cause: error });
    const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
    return wrap(connectionError(error, this.settings.socketPath ?? `${url.hostname}:${port}`), describe(options.method, url));
  }

  private headers(url: URL, given: OutgoingHttpHeaders = {}): OutgoingHttpHeaders {
    const proxy = this.plainProxy(url);
    const authorization = proxy === null ? undefined : proxyAuthorization(proxy);
    return {
      ...(this.userAgent === '' ? {} : { 'user-agent': this.userAgent }),
      ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
      ...given,
    };
  }

  /** A plain proxy wants the whole URL on the request line. */
  private target(url: URL): string {
    return this.plainProxy(url) === null ? `${url.pathname}${url.search}` : url.href;
  }

  private plainProxy(url: URL): URL | null {
    const { proxy, socketPath } = this.settings;
    return url.protocol === 'http:' && socketPath === undefined && proxy !== undefined ? proxyFor('http:', url.hostname, proxy) : null;
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (error) {
    throw invalid(`Get "${text}": unsupported protocol scheme ""`, { cause: messageOf(error) });
  }
}

const describe = (method: string, url: URL): string => describeRequest(method, url.href);
