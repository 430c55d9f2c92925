import { connectivityState, credentials, Metadata, status, type ClientReadableStream, type ServiceError, type Client } from '@grpc/grpc-js';
import { AppError, unavailable, wrap } from '#kernel';
import { deadlineIn } from './deadline.js';
import { fromServiceError, isAnswer } from './errors.js';
import { agentService, type AgentServiceName } from './protocol.js';

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until the call is given up; 0 or absent waits as long as it takes. */
  readonly timeoutMs?: number;
}

export interface StreamListener<Message> {
  message(message: Message): void;
  /** Called once. */
  end(error?: AppError): void;
}

type UnaryMethod = (
  request: unknown, metadata: unknown, options: { deadline?: Date }, done: (error: ServiceError | null, reply: unknown) => void,
) => { cancel(): void };

/** 64 MB: console logs and listings of thousands of instances fit; the default of 4 MB does not (hazards C3). */
export const maxMessageBytes = 64 * 1024 * 1024;

/** How long a call waits for an agent that is being started again. */
const agentPatienceMs = 10_000;

/**
 * What an agent may be asked again after the connection broke in the middle, because doing it twice is doing it once. Others fail with
 * `unavailable`: their callers know what has to be looked at first.
 */
const repeatable: ReadonlySet<string> = new Set([
  'capabilities', 'ensurePoolMounted', 'describePool', 'createVolume', 'destroyVolume', 'resizeVolume', 'describeVolume', 'listVolumes', 'listImages',
  'createSnapshot', 'destroySnapshot', 'renameSnapshot', 'listSnapshots', 'measureSnapshots', 'restoreSnapshot', 'undoRestore', 'finishRestore', 'copyVolume', 'refreshVolume',
  'ensureNetwork', 'reconcileNetworks', 'removeNetwork', 'setStaticLease', 'listLeases', 'describeInterfaces', 'listUsedSubnets',
  'createInstance', 'destroyInstance', 'describeStatus', 'describeUsage', 'describeHost', 'describeResources', 'loadKernelModules', 'readConsoleLog',
  'openFiles', 'isEmptyVolume', 'placeDirectory',
]);

/**
 * Calls to one agent over its unix socket. Channels are opened on first use and reconnect by themselves; a call made while the agent is being
 * replaced waits for the next one.
 */
export class AgentChannel {
  private readonly clients = new Map<AgentServiceName, Client>();

  constructor(private readonly socketPath: string, private readonly patienceMs = agentPatienceMs) {}

  async call<Reply>(service: AgentServiceName, method: string, request: object, options: CallOptions = {}): Promise<Reply> {
    for (let attempt = 1; ; attempt++) {
      await this.connected(service, options);
      try {
        return await this.callOnce<Reply>(service, method, request, options);
      } catch (error) {
        const { code } = error as ServiceError;
        const lost = (code === status.UNAVAILABLE || (code === status.CANCELLED && !options.signal?.aborted)) && !isAnswer(error as ServiceError);
        if (!lost || attempt === 3 || !repeatable.has(method)) throw fromServiceError(error as ServiceError);
      }
    }
  }

  /** @throws `unavailable` when no agent answers in time. */
  private async connected(service: AgentServiceName, { timeoutMs, signal }: CallOptions): Promise<void> {
    const client = this.client(service);
    if (client.getChannel().getConnectivityState(true) === connectivityState.READY) return;
    const patienceMs = Math.min(timeoutMs || this.patienceMs, this.patienceMs);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = (): void => reject(unavailable('The call was given up'));
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    const absent = (cause?: Error): void => reject(unavailable(`No agent answers on ${this.socketPath}`, { cause }));
    client.waitForReady(deadlineIn(patienceMs), (error) => (error ? absent(error) : resolve()));
    // It looks at the wall clock at each change of state.
    const timer = setTimeout(absent, patienceMs);
    await promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    });
  }

  /** Rejects with the `ServiceError` as it came. */
  private async callOnce<Reply>(service: AgentServiceName, method: string, request: object, options: CallOptions): Promise<Reply> {
    const client = this.client(service);
    const invoke = (client as unknown as Record<string, UnaryMethod>)[method];
    if (!invoke) throw new TypeError(`No method ${service}.${method}`);
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const deadline = options.timeoutMs ? { deadline: deadlineIn(options.timeoutMs) } : {};
    const call = invoke.call(client, request, new Metadata(), deadline, (error, reply) => {
      if (error) reject(error);
      else resolve(reply as Reply);
    });
    const cancel = (): void => call.cancel();
    if (options.signal?.aborted) cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await promise;
    } finally {
      options.signal?.removeEventListener('abort', cancel);
    }
  }

  async *stream<Message>(service: AgentServiceName, method: string, request: object, signal: AbortSignal): AsyncIterable<Message> {
    await this.connected(service, { signal });
    const client = this.client(service) as unknown as Record<string, (request: unknown) => ClientReadableStream<Message>>;
    const call = client[method]!(request);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call) yield message as Message;
    } catch (error) {
      if (!signal.aborted) throw fromServiceError(error as ServiceError);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  /** A stream for which an async iterator costs too much: each message as it comes, then the end, with the reason unless all went well. */
  follow<Message>(service: AgentServiceName, method: string, request: object, listener: StreamListener<Message>): { cancel(): void } {
    const abort = new AbortController();
    let ended = false;
    const end = (error?: AppError): void => {
      if (!ended) listener.end(error);
      ended = true;
    };
    void this.connected(service, { signal: abort.signal }).then(() => {
      const client = this.client(service) as unknown as Record<string, (request: unknown) => ClientReadableStream<Message>>;
      const call = client[method]!(request);
      abort.signal.addEventListener('abort', () => call.cancel(), { once: true });
      call.on('data', (message: Message) => listener.message(message));
      call.on('error', (error) => end(fromServiceError(error as ServiceError)));
      call.on('end', () => end());
    }).catch((error: unknown) => end(AppError.is(error) ? error : wrap(error, 'Failed asking the agent')));
    return { cancel: () => abort.abort() };
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
  }

  private client(service: AgentServiceName): Client {
    let client = this.clients.get(service);
    if (!client) {
      client = new (agentService(service))(`unix:${this.socketPath}`, credentials.createInsecure(), channelOptions);
      this.clients.set(service, client);
    }
    return client;
  }
}

const channelOptions = {
  // Its books on channels and calls cost a tenth of a call, and nobody reads them.
  'grpc.enable_channelz': 0,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // A restarted agent listens again within a fraction of a second; the default back-off of a second and more would hide that.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
};
