import { chmodSync, chownSync, rmSync } from 'node:fs';
import { Server, ServerCredentials, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { wrap, type Logger } from '#kernel';
import { maxMessageBytes } from './client.js';
import { toServiceError } from './errors.js';
import { agentService, type AgentServiceName } from './protocol.js';

/** Called with the request and a signal that aborts when the caller gives up. Throw AppErrors; they arrive as they are. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- messages are checked by the protocol, not by the type of the table
export type UnaryHandler = (request: any, signal: AbortSignal) => Promise<object>;
export type StreamHandler = (request: unknown, signal: AbortSignal) => AsyncIterable<object>;

export interface ServiceTable {
  readonly unary: Readonly<Record<string, UnaryHandler>>;
  readonly streams?: Readonly<Record<string, StreamHandler>>;
}

/** The agent's side of `proto/agent/v1`: one server on a unix socket. */
export class AgentServer {
  private readonly server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes, 'grpc.max_send_message_length': maxMessageBytes,
  });

  constructor(private readonly logger: Logger) {}

  addService(name: AgentServiceName, table: ServiceTable): void {
    const implementation: UntypedServiceImplementation = {};
    for (const [method, handler] of Object.entries(table.unary)) implementation[method] = this.unary(`${name}.${method}`, handler);
    for (const [method, handler] of Object.entries(table.streams ?? {})) implementation[method] = this.stream(`${name}.${method}`, handler);
    this.server.addService(agentService(name).service, implementation);
  }

  /** Listens on the socket (of this mode and group), replacing what a killed predecessor left. The caller holds the lock of the state directory. */
  async listen(socketPath: string, mode: number, gid = 0): Promise<void> {
    rmSync(socketPath, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => {
      if (error) reject(wrap(error, `Failed listening on ${socketPath}`));
      else resolve();
    });
    await promise;
    if (gid !== 0) chownSync(socketPath, 0, gid);
    chmodSync(socketPath, mode);
  }

  /** Lets running calls end for at most `graceMs`, then cuts them. */
  async close(graceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => { this.server.forceShutdown(); resolve(); }, graceMs);
    this.server.tryShutdown(() => { clearTimeout(timer); resolve(); });
    await promise;
  }

  private unary(label: string, handler: UnaryHandler) {
    return (call: ServerUnaryCall<object, object>, done: sendUnaryData<object>): void => {
      const abort = new AbortController();
      let answered = false;
      // Told of every call whose stream closes, so of those that were answered as well.
      call.on('cancelled', () => { if (!answered) abort.abort(); });
      handler(call.request, abort.signal).then(
        (reply) => {
          answered = true;
          done(null, reply);
        },
        (error: unknown) => {
          answered = true;
          this.logger.debug('Call failed', { call: label, error: String(error) });
          done(toServiceError(error));
        },
      );
    };
  }

  private stream(label: string, handler: StreamHandler) {
    return (call: ServerWritableStream<object, object>): void => {
      const abort = new AbortController();
      let ended = false;
      call.on('cancelled', () => { if (!ended) abort.abort(); });
      void (async () => {
        try {
          for await (const message of handler(call.request, abort.signal)) call.write(message);
          ended = true;
          call.end();
        } catch (error) {
          this.logger.debug('Stream failed', { call: label, error: String(error) });
          call.emit('error', toServiceError(error));
        }
      })();
    };
  }
}
