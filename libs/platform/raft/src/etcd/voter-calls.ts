import { credentials, Metadata, status, type ChannelCredentials, type Client, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { AppError, Deadline, unavailable } from '#kernel';
import { deadlineIn } from '#platform/rpc';
import { etcdService, type EtcdServiceName } from './etcd-protocol.js';
import type { ResponseHeader } from './etcd-messages.js';

/** PEM texts of a client of the log. */
export interface EtcdCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface EtcdClientOptions {
  /** `ip:port` of the voters' client sockets, the preferred one (this member's own) first. */
  readonly endpoints: readonly string[];
  readonly credentials: EtcdCredentials;
  /** Decimal text; answers of another cluster are refused (hazards A2). Learned from the first answer when absent. */
  readonly clusterId?: string;
}

export interface EtcdCallOptions {
  /** Until the call is given up over all endpoints, milliseconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Only this endpoint is asked. */
  readonly endpoint?: string;
}

/** After this long without an answer another endpoint is asked as well (hazards D7). */
const hedgeMs = 300;
const defaultTimeoutMs = 4000;
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * In every voter's certificate beside its addresses: Node accepts no IP address as a TLS server name, so clients ask for this one. Who is at the other
 * end is told by the authority, which signs for one cluster only, and by the cluster's id in each answer.
 */
export const voterServerName = 'voter.roost.internal';

const channelOptions = {
  'grpc.ssl_target_name_override': voterServerName,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // etcd's server allows a ping every 5 s unless told otherwise.
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 2000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
};

type UnaryMethod = (request: object, metadata: Metadata, options: { deadline: Date }, done: (error: ServiceError | null, reply: unknown) => void) => { cancel(): void };

/** Errors that say something about the request, not about the voter that was asked. */
const answers: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT, status.NOT_FOUND, status.ALREADY_EXISTS, status.PERMISSION_DENIED, status.OUT_OF_RANGE, status.FAILED_PRECONDITION, status.RESOURCE_EXHAUSTED,
]);

/** What one attempt is given: whom to ask, for how long, and when nobody needs the answer any more. */
type Ask<Reply> = (endpoint: string, deadline: Deadline, signal: AbortSignal) => Promise<Reply>;

/**
 * Calls to the voters' etcd. Unary ones go to the preferred endpoint; when that is silent for 300 ms or fails, to the next as well, and the first answer
 * counts. Whoever answered is preferred from then on, until `prefer` says who leads. So a request may be carried out twice: everything sent through
 * here is harmless to repeat, or its caller tells by its content whether it went in.
 */
export class VoterCalls {
  private endpoints: readonly string[];
  private preferred = 0;
  /** Of watches, which need no leader: the own voter as long as it has the history. */
  private watched = 0;
  private clusterId: string | undefined;
  private readonly channels: ChannelCredentials;
  private readonly clients = new Map<string, Client>();
  private closed = false;

  constructor(options: EtcdClientOptions) {
    this.endpoints = options.endpoints;
    this.clusterId = options.clusterId;
    const { ca, certificate, key } = options.credentials;
    this.channels = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(certificate));
  }

  get endpointList(): readonly string[] {
    return this.endpoints;
  }

  /** Voters come and go; connections to those that stay are kept. */
  setEndpoints(endpoints: readonly string[]): void {
    if (endpoints.length === 0 || endpoints.join() === this.endpoints.join()) return;
    const current = this.endpoints[this.preferred];
    this.endpoints = [...endpoints];
    this.preferred = Math.max(0, current === undefined ? 0 : this.endpoints.indexOf(current));
    this.watched = 0;
    for (const [name, client] of this.clients) {
      if (this.endpoints.some((endpoint) => name.endsWith(`@${endpoint}`))) continue;
      client.close();
      this.clients.delete(name);
    }
  }

  get preferredEndpoint(): string | undefined {
    return this.endpoints[this.preferred];
  }

  /** Asks this one first from now on: the leader needs a round less than who has to ask it. Ignored where no voter is known to answer. */
  prefer(endpoint: string): void {
    const index = this.endpoints.indexOf(endpoint);
    if (index >= 0) this.preferred = index;
  }

  get watchedEndpoint(): string {
    return this.endpoints[this.watched] ?? this.endpoints[0]!;
  }

  /** The next watch goes elsewhere. */
  watchEnded(endpoint: string): void {
    if (this.endpoints[this.watched] === endpoint) this.watched = (this.watched + 1) % this.endpoints.length;
  }

  close(): void {
    this.closed = true;
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
  }

  call<Reply>(service: EtcdServiceName, method: string, request: object, options: EtcdCallOptions = {}): Promise<Reply> {
    return this.overEndpoints(options, (endpoint, deadline, signal) => this.callOnce<Reply>(service, method, request, endpoint, deadline, signal));
  }

  /** Asks one endpoint after the other, each a little later, until one answers. */
  async overEndpoints<Reply>(options: EtcdCallOptions, ask: Ask<Reply>): Promise<Reply> {
    if (this.closed) throw unavailable('The connection to the log is closed');
    const deadline = new Deadline(options.timeoutMs ?? defaultTimeoutMs);
    const first = this.preferred;
    const order = options.endpoint === undefined ? this.endpoints.map((_, i) => this.endpoints[(first + i) % this.endpoints.length]!) : [options.endpoint];
    const over = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, over.signal]) : over.signal;
    let last: unknown = unavailable(order.length === 0 ? 'No voter of the log is known' : 'The log does not answer');
    try {
      // Round after round: during an election every voter refuses for a while.
      while (!deadline.passed && !signal.aborted) {
        const started: Promise<Reply>[] = [];
        for (const endpoint of order) {
          const attempt = ask(endpoint, deadline, signal).then((reply) => {
            if (options.endpoint === undefined) this.preferred = Math.max(0, this.endpoints.indexOf(endpoint));
            return reply;
          });
          attempt.catch(() => undefined);
          started.push(attempt);
          const outcome = await settledWithin(started, endpoint === order.at(-1) ? deadline.leftMs : hedgeMs);
          if (outcome === null) continue;
          if ('reply' in outcome) return outcome.reply;
          last = outcome.error;
          if (isRefusal(outcome.error)) throw outcome.error;
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      throw last;
    } catch (error) {
      throw translate(error);
    } finally {
      over.abort();
    }
  }

  private callOnce<Reply>(service: EtcdServiceName, method: string, request: object, endpoint: string, deadline: Deadline, signal: AbortSignal): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const client = this.client(service, endpoint) as unknown as Record<string, UnaryMethod>;
    const call = client[method]!(request, new Metadata(), { deadline: deadlineIn(deadline.leftMs) }, (error, reply) => {
      if (error) return reject(error);
      try {
        this.checkCluster((reply as { header?: ResponseHeader | null }).header);
        resolve(reply as Reply);
      } catch (refused) {
        reject(refused as Error);
      }
    });
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', cancel));
  }

  duplex(service: EtcdServiceName, method: string, endpoint: string, deadline: Deadline | null): ClientDuplexStream<object, object> {
    const client = this.client(service, endpoint) as unknown as Record<string, (metadata: Metadata, options: object) => ClientDuplexStream<object, object>>;
    const metadata = new Metadata();
    // A voter cut off from the others would otherwise stay silent for as long as it is.
    metadata.set('hasleader', 'true');
    return client[method]!(metadata, deadline === null ? {} : { deadline: deadlineIn(deadline.leftMs) });
  }

  /** Another cluster's answers are refused (hazards A2). */
  checkCluster(header: ResponseHeader | null | undefined): void {
    // Some replies of etcd 3.4 have none, that about alarms for one.
    if (!header) return;
    this.clusterId ??= header.clusterId;
    if (header.clusterId !== this.clusterId) throw new AppError('precondition', `Another cluster answers where the log should be (${header.clusterId} instead of ${this.clusterId})`);
  }

  private client(service: EtcdServiceName, endpoint: string): Client {
    const name = `${service}@${endpoint}`;
    let client = this.clients.get(name);
    if (!client) {
      client = new (etcdService(service))(endpoint, this.channels, channelOptions);
      this.clients.set(name, client);
    }
    return client;
  }
}

type Outcome<Reply> = { readonly reply: Reply } | { readonly error: unknown };

/** The first success, or the failure of the newest attempt, or null when time is over. */
async function settledWithin<Reply>(attempts: readonly Promise<Reply>[], ms: number): Promise<Outcome<Reply> | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), Math.max(0, ms));
  const outcomes = attempts.map((attempt) => attempt.then((reply): Outcome<Reply> => ({ reply }), (error: unknown): Outcome<Reply> => ({ error })));
  const anySuccess = new Promise<Outcome<Reply>>((done) => {
    for (const outcome of outcomes) void outcome.then((value) => { if ('reply' in value) done(value); });
  });
  try {
    return await Promise.race([anySuccess, outcomes.at(-1)!, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof AppError || answers.has((error as ServiceError).code);
}

export function translate(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const { code, details, message } = error as ServiceError;
  if (answers.has(code)) return new AppError('precondition', details || message, { cause: error, details: { etcd: details || message } });
  return unavailable(`The log does not answer: ${details || message}`, { cause: error });
}
