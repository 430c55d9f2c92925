import type { Operation } from '#api-types';
import { AppError, internal, unavailable, type ErrorKind } from '#kernel';
import type { Exchange, ExchangeAnswer } from './exchange.js';

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
  /** An object is sent as JSON; bytes, and where there is Node streams, as they are. */
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

/** A stream of events that is open. */
export interface EventStream {
  close(): void;
  /** Resolves when it has ended, whoever ended it. */
  readonly closed: Promise<void>;
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

/** A client of `/1.0`, as far as it takes no more than requests and answers of text, and websockets: the part that works in browsers too. */
export abstract class BaseApiClient {
  private guard: Guard | undefined;

  protected constructor(protected readonly base: string, protected readonly options: ApiClientOptions) {}

  /** Carries one request. Throws `unavailable`, worded `Get "URL": why`, when there is no answer. */
  protected abstract exchange(request: Exchange): Promise<ExchangeAnswer>;

  /** Opens the websocket at a path; resolves once it is open. */
  protected abstract listen(path: string, onText: (text: string) => void): Promise<EventStream>;

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
    const prepared = this.prepare(method, path, request);
    const { status, headers, text } = await this.traced(prepared, this.exchange(prepared), (answer) => answer.status);
    const envelope = parseEnvelope(text, status, path);
    if (envelope.type === 'error' || status >= 400) throw errorOf(envelope, status);
    const header = (name: string): string => String(headers[name] ?? '');
    return {
      type: envelope.type === 'async' ? 'async' : 'sync', status, metadata: envelope.metadata as T,
      operation: envelope.operation ?? '', etag: header('etag').replaceAll('"', ''), location: header('location'),
    };
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

  /** Opens the event stream; resolves once it is open. `close()` ends it. What is no event is passed over, as LXD's client does. */
  events(options: { readonly types?: readonly string[]; readonly allProjects?: boolean }, onEvent: (event: EventMessage) => void): Promise<EventStream> {
    const query = [options.types === undefined ? '' : `type=${options.types.join(',')}`, options.allProjects === true ? 'all-projects=true' : ''];
    return this.listen(`/1.0/events?${query.filter((q) => q !== '').join('&')}`, (text) => {
      const event = parseEvent(text);
      if (event !== undefined) onEvent(event);
    });
  }

  /** What is sent: the body as JSON unless it is `raw`, the project in the path. Asks the guard. */
  protected prepare(method: string, path: string, request: ApiRequest, raw = request.body instanceof Uint8Array): Exchange {
    this.guard?.(method, path, request.body);
    const body = raw || request.body === undefined ? request.body : JSON.stringify(request.body);
    const type: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    const idleTimeoutMs = request.idleTimeoutMs ?? this.options.idleTimeoutMs?.[method === 'GET' ? 'read' : 'write'];
    return { method, url: `${this.base}${this.withProject(path)}`, headers: { ...type, ...request.headers }, body, signal: request.signal, idleTimeoutMs };
  }

  /** Tells whoever wants to know of a request and the status of its answer. */
  protected async traced<A>({ method, url, body }: Exchange, answering: Promise<A>, statusOf: (answer: A) => number | undefined): Promise<A> {
    const { trace } = this.options;
    trace?.(`${method} ${url}${typeof body === 'string' ? ` ${body}` : ''}`);
    const answer = await answering;
    trace?.(`${statusOf(answer)} ${method} ${url}`);
    return answer;
  }

  protected withProject(path: string): string {
    const { project } = this.options;
    if (project === undefined || project === '' || /[?&]project=/.test(path)) return path;
    return `${path}${path.includes('?') ? '&' : '?'}project=${encodeURIComponent(project)}`;
  }

  private async finish<T>(method: string, path: string, request: ApiRequest): Promise<T> {
    const answer = await this.call<T>(method, path, request);
    if (answer.type === 'sync') return answer.metadata;
    // Who is not trusted may wait for an operation only with the secret it carries.
    const { secret } = (answer.metadata as Operation).metadata ?? {};
    const done = await this.waitOperation(answer.operation, { signal: request.signal, ...(typeof secret === 'string' ? { secret } : {}) });
    return done.metadata as T;
  }
}

/** The envelope around every answer. Throws `unavailable` for a text that is none. */
export function parseEnvelope(text: string, status: number, path: string): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unavailable(`The answer to "${path}" is not JSON (HTTP status ${status})`, { cause: error });
  }
  if (!isObject(value)) throw unavailable(`The answer to "${path}" is no answer of this API (HTTP status ${status})`);
  return value;
}

function parseEvent(text: string): EventMessage | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value as unknown as EventMessage : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an error answer says, with the kind that fits its code. */
export function errorOf(envelope: Envelope, status: number): AppError {
  const code = envelope.error_code || status;
  return new AppError(kindOfStatus[code] ?? 'internal', envelope.error || `HTTP status ${status}`, { details: { status: code } });
}
