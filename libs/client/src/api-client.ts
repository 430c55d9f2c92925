import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Operation } from '#api-types';
import { AppError, internal, unavailable, type ErrorKind } from '#kernel';
import type { ProxySettings } from './connections.js';
import { HttpTransport, readText } from './http-transport.js';

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

export interface ApiClientOptions {
  readonly userAgent?: string;
  /** Added as `?project=` to every path that names none. */
  readonly project?: string;
  /** Told each request and the status of its answer, a line each. */
  readonly trace?: (line: string) => void;
  /**
   * Gives up when no byte comes or goes for this long, where a request does not say otherwise. Reading a list takes no minute; a request that changes
   * something may be answered when it is done. Absent: never.
   */
  readonly idleTimeoutMs?: { readonly read: number; readonly write: number };
}

export interface ApiRequest {
  /** An object is sent as JSON, a stream or buffer as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly idleTimeoutMs?: number;
}

/** An answer in LXD's envelope. */
export interface ApiAnswer<T> {
  readonly type: 'sync' | 'async';
  readonly status: number;
  readonly metadata: T;
  /** Path of the operation, empty for a sync answer. */
  readonly operation: string;
  /** Without quotes; empty if none was sent. */
  readonly etag: string;
  readonly location: string;
}

export interface EventMessage {
  readonly type: 'operation' | 'lifecycle' | 'logging';
  readonly timestamp: string;
  readonly metadata: unknown;
  readonly location?: string;
  readonly project?: string;
}

export type Guard = (method: string, path: string, body: unknown) => void;

interface Envelope {
  readonly type?: string;
  readonly operation?: string;
  readonly error?: string;
  readonly error_code?: number;
  readonly metadata?: unknown;
}

const kindOfStatus: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid', 401: 'forbidden', 403: 'forbidden', 404: 'not-found', 409: 'conflict', 412: 'precondition', 501: 'not-implemented', 503: 'unavailable',
};

/**
 * A client of `/1.0`. Errors the server reports are thrown as `AppError` with its words and the matching kind; a server that cannot be
 * reached is `unavailable`.
 */
export class ApiClient {
  private readonly transport: HttpTransport;
  private readonly base: string;
  private guard: Guard | undefined;

  constructor(endpoint: ApiEndpoint, private readonly options: ApiClientOptions = {}) {
    this.base = 'socketPath' in endpoint ? 'http://unix.socket' : endpoint.url.replace(/\/+$/, '');
    this.transport = new HttpTransport(endpoint, options.userAgent);
  }

  /** From now on `guard` sees each request before it is sent, and may throw: what a server is known not to have need not be asked for. */
  guardWith(guard: Guard): void { this.guard = guard; }

  async get<T>(path: string, request: ApiRequest = {}): Promise<T> {
    return (await this.call<T>('GET', path, request)).metadata;
  }

  /** These four wait for the operation where one is answered and return its metadata; a failed one throws. */
  post<T>(path: string, body: unknown, request: ApiRequest = {}): Promise<T> {
    return this.finish<T>('POST', path, { ...request, body });
  }

  put<T>(path: string, body: unknown, request: ApiRequest = {}): Promise<T> {
    return this.finish<T>('PUT', path, { ...request, body });
  }

  patch<T>(path: string, body: unknown, request: ApiRequest = {}): Promise<T> {
    return this.finish<T>('PATCH', path, { ...request, body });
  }

  delete<T>(path: string, request: ApiRequest = {}): Promise<T> {
    return this.finish<T>('DELETE', path, request);
  }

  /** One request, no waiting. */
  async call<T>(method: string, path: string, request: ApiRequest = {}): Promise<ApiAnswer<T>> {
    const answer = await this.send(method, path, request);
    const envelope = await readEnvelope(answer, path);
    if (envelope.type === 'error' || (answer.statusCode ?? 500) >= 400) throw errorOf(envelope, answer.statusCode ?? 500);
    return {
      type: envelope.type === 'async' ? 'async' : 'sync', status: answer.statusCode ?? 200, metadata: envelope.metadata as T,
      operation: envelope.operation ?? '', etag: (answer.headers.etag ?? '').replaceAll('"', ''), location: answer.headers.location ?? '',
    };
  }

  /** A body that is not the envelope, as a stream: image export, files, logs. An error answer throws. */
  async download(path: string, request: ApiRequest = {}): Promise<IncomingMessage> {
    const answer = await this.send('GET', path, request);
    if ((answer.statusCode ?? 500) < 400) return answer;
    throw errorOf(await readEnvelope(answer, path), answer.statusCode ?? 500);
  }

  /** Waits until the operation has ended. `path` as in `ApiAnswer.operation`, or an id. A failed or cancelled one throws `internal` with its `err`. */
  async waitOperation(
    path: string, options: { readonly timeoutSeconds?: number; readonly signal?: AbortSignal; readonly secret?: string } = {},
  ): Promise<Operation> {
    const url = path.startsWith('/') ? path.split('?')[0]! : `/1.0/operations/${path}`;
    const secret = options.secret === undefined ? '' : `&secret=${encodeURIComponent(options.secret)}`;
    const operation = await this.get<Operation>(`${url}/wait?timeout=${options.timeoutSeconds ?? -1}${secret}`, { signal: options.signal });
    if (operation.status_code === 400 || operation.status_code === 401) throw internal(operation.err === '' ? 'Operation was cancelled' : operation.err);
    return operation;
  }

  /** Opens the event stream; resolves once it is open. `close()` ends it. */
  async events(
    options: { readonly types?: readonly string[]; readonly allProjects?: boolean },
    onEvent: (event: EventMessage) => void,
  ): Promise<{ close(): void; readonly closed: Promise<void> }> {
    const query = [options.types === undefined ? '' : `type=${options.types.join(',')}`, options.allProjects === true ? 'all-projects=true' : ''];
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const socket = await this.webSocket(`/1.0/events?${query.filter((q) => q !== '').join('&')}`, (opening) => {
      opening.on('message', (data: Buffer) => onEvent(JSON.parse(data.toString('utf8')) as EventMessage));
      opening.once('close', () => resolve());
      opening.on('error', () => opening.terminate());
    });
    return { close: () => socket.close(), closed };
  }

  /**
   * An open websocket: events, exec, console. The first message may come with the answer, so handlers are put on in `prepare`, before it
   * is open.
   */
  async webSocket(path: string, prepare: (opening: WebSocket) => void = () => undefined): Promise<WebSocket> {
    // Most users of a client open none.
    const { WebSocket } = await import('ws');
    const url = new URL(this.withProject(path), this.base);
    const pool = this.transport.pool(url.protocol as 'http:' | 'https:');
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    const socket = new WebSocket(url, { agent: pool, perMessageDeflate: false, maxPayload: 64 * 1024 * 1024, handshakeTimeout: this.options.idleTimeoutMs?.read });
    prepare(socket);
    socket.once('open', () => resolve(socket));
    socket.once('error', (error) => reject(error instanceof AppError ? error : unavailable(`websocket to "${path.split('?')[0]}": ${error.message}`, { cause: error })));
    socket.once('unexpected-response', (_request, answer) => {
      readEnvelope(answer, path).then((envelope) => reject(errorOf(envelope, answer.statusCode ?? 500)), reject).finally(() => socket.terminate());
    });
    return promise;
  }

  /** A connection handed over to another protocol (`Upgrade:`), as SFTP is. */
  async upgrade(path: string, protocol: string): Promise<Duplex> {
    return this.transport.upgrade(`${this.base}${this.withProject(path)}`, protocol, async (answer) => {
      throw errorOf(await readEnvelope(answer, path), answer.statusCode ?? 500);
    });
  }

  /** The answer as it comes, whatever its status: for who shows it instead of reading it. */
  raw(method: string, path: string, request: ApiRequest = {}): Promise<IncomingMessage> {
    return this.send(method, path, request);
  }

  close(): void {
    this.transport.close();
  }

  private async finish<T>(method: string, path: string, request: ApiRequest): Promise<T> {
    const answer = await this.call<T>(method, path, request);
    if (answer.type === 'sync') return answer.metadata;
    // Who is not trusted may wait for an operation only with the secret it carries.
    const { secret } = (answer.metadata as Operation).metadata ?? {};
    const done = await this.waitOperation(answer.operation, { signal: request.signal, ...(typeof secret === 'string' ? { secret } : {}) });
    return done.metadata as T;
  }

  private async send(method: string, path: string, request: ApiRequest): Promise<IncomingMessage> {
    this.guard?.(method, path, request.body);
    const raw = isStream(request.body) || Buffer.isBuffer(request.body);
    const body = raw || request.body === undefined ? (request.body as Readable | Buffer | undefined) : JSON.stringify(request.body);
    const type = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    const url = `${this.base}${this.withProject(path)}`;
    const { trace } = this.options;
    trace?.(`${method} ${url}${typeof body === 'string' ? ` ${body}` : ''}`);
    const answer = this.transport.request({ method, url, headers: { ...type, ...request.headers }, body, signal: request.signal, idleTimeoutMs: request.idleTimeoutMs ?? this.options.idleTimeoutMs?.[method === 'GET' ? 'read' : 'write'] });
    return trace === undefined ? answer : answer.then((got) => (trace(`${got.statusCode} ${method} ${url}`), got));
  }

  private withProject(path: string): string {
    const { project } = this.options;
    if (project === undefined || project === '' || /[?&]project=/.test(path)) return path;
    return `${path}${path.includes('?') ? '&' : '?'}project=${encodeURIComponent(project)}`;
  }
}

async function readEnvelope(answer: IncomingMessage, path: string): Promise<Envelope> {
  const text = await readText(answer);
  try {
    return JSON.parse(text) as Envelope;
  } catch (error) {
    throw unavailable(`The answer to "${path}" is not JSON (HTTP status ${answer.statusCode})`, { cause: error });
  }
}

function errorOf(envelope: Envelope, status: number): AppError {
  const code = envelope.error_code || status;
  return new AppError(kindOfStatus[code] ?? 'internal', envelope.error || `HTTP status ${status}`, { details: { status: code } });
}

function isStream(value: unknown): value is Readable {
  return value !== null && typeof value === 'object' && typeof (value as Readable).pipe === 'function';
}
