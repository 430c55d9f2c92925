import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { AppError, unavailable } from '#kernel';
import { BaseApiClient, errorOf, parseEnvelope, type ApiClientOptions, type ApiRequest, type EventStream } from './base-api-client.js';
import type { ProxySettings } from './proxies.js';
import type { Exchange, ExchangeAnswer } from './exchange.js';
import type { HttpTransport } from './http-transport.js';
import { readText } from './read-text.js';
import { exchangeOverSocket } from './socket-exchange.js';

/** Where a server of `/1.0` is: its unix socket, or its https address. */
export type ApiEndpoint =
  | { readonly socketPath: string }
  | {
    /** Example: `https://10.0.0.1:8443` */
    readonly url: string;
    /** PEM; the server must show exactly this one (or one it signed). Empty: the system's authorities decide. */
    readonly certificate?: string;
    readonly client?: { readonly certificate: string; readonly key: string };
    readonly proxy?: ProxySettings;
  };

/**
 * A client of `/1.0`. Errors the server reports are thrown as `AppError` with its words and the matching kind; a server that cannot be
 * reached is `unavailable`.
 */
export class ApiClient extends BaseApiClient {
  private loading: Promise<HttpTransport> | undefined;

  constructor(private readonly endpoint: ApiEndpoint, options: ApiClientOptions = {}) {
    super('socketPath' in endpoint ? 'http://unix.socket' : endpoint.url.replace(/\/+$/, ''), options);
  }

  /** A body that is not the envelope, as a stream: image export, files, logs. An error answer throws. */
  async download(path: string, request: ApiRequest = {}): Promise<IncomingMessage> {
    const answer = await this.raw('GET', path, request);
    if ((answer.statusCode ?? 500) < 400) return answer;
    throw await refusal(answer, path);
  }

  /**
   * An open websocket: events, exec, console. The first message may come with the answer, so handlers are put on in `prepare`, before it
   * is open.
   */
  async webSocket(path: string, prepare: (opening: WebSocket) => void = () => undefined): Promise<WebSocket> {
    // Most users of a client open none.
    const [{ WebSocket }, transport] = await Promise.all([import('ws'), this.transport()]);
    const url = new URL(this.withProject(path), this.base);
    const pool = transport.pool(url.protocol as 'http:' | 'https:');
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    const socket = new WebSocket(url, { agent: pool, perMessageDeflate: false, maxPayload: 64 * 1024 * 1024, handshakeTimeout: this.options.idleTimeoutMs?.read });
    prepare(socket);
    socket.once('open', () => resolve(socket));
    socket.once('error', (error) => reject(error instanceof AppError ? error : unavailable(`websocket to "${path.split('?')[0]}": ${error.message}`, { cause: error })));
    socket.once('unexpected-response', (_request, answer) => {
      refusal(answer, path).then(reject, reject).finally(() => socket.terminate());
    });
    return promise;
  }

  /** A connection handed over to another protocol (`Upgrade:`), as SFTP is. */
  async upgrade(path: string, protocol: string): Promise<Duplex> {
    const transport = await this.transport();
    return transport.upgrade(`${this.base}${this.withProject(path)}`, protocol, async (answer) => { throw await refusal(answer, path); }, this.options.idleTimeoutMs?.read);
  }

  /** The answer as it comes, whatever its status: for who shows it instead of reading it. */
  raw(method: string, path: string, request: ApiRequest = {}): Promise<IncomingMessage> {
    const prepared = this.prepare(method, path, request);
    return this.traced(prepared, this.send(prepared), (answer) => answer.statusCode);
  }

  close(): void {
    void this.loading?.then((transport) => transport.close(), () => undefined);
  }

  protected override prepare(method: string, path: string, request: ApiRequest): Exchange {
    return super.prepare(method, path, request, isStream(request.body) || request.body instanceof Uint8Array);
  }

  protected override async exchange(request: Exchange): Promise<ExchangeAnswer> {
    const { body } = request;
    if ('socketPath' in this.endpoint && (body === undefined || typeof body === 'string')) {
      const { userAgent } = this.options;
      return exchangeOverSocket(this.endpoint.socketPath, { ...request, body, headers: { ...(userAgent === undefined ? {} : { 'user-agent': userAgent }), ...request.headers } });
    }
    const answer = await this.send(request);
    return { status: answer.statusCode ?? 500, headers: answer.headers, text: await readText(answer) };
  }

  protected override async listen(path: string, onText: (text: string) => void): Promise<EventStream> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const socket = await this.webSocket(path, (opening) => {
      opening.on('message', (data: Buffer) => onText(data.toString('utf8')));
      opening.once('close', () => resolve());
      opening.on('error', () => opening.terminate());
    });
    return { close: () => socket.close(), closed };
  }

  private async send(request: Exchange): Promise<IncomingMessage> {
    const transport = await this.transport();
    return transport.request({ ...request, body: request.body as string | Buffer | Readable | undefined });
  }

  /** Node's HTTP client, loaded when something is asked of it. */
  private transport(): Promise<HttpTransport> {
    this.loading ??= import('./http-transport.js').then((module) => new module.HttpTransport(this.endpoint, this.options.userAgent));
    return this.loading;
  }
}

async function refusal(answer: IncomingMessage, path: string): Promise<AppError> {
  const status = answer.statusCode ?? 500;
  return errorOf(parseEnvelope(await readText(answer), status, path), status);
}

function isStream(value: unknown): value is Readable {
  return value !== null && typeof value === 'object' && typeof (value as Readable).pipe === 'function';
}
