import type { Operation } from '#api-types';
import { internal } from '#kernel';
import type { ApiAnswer, BaseApiClient, EventStream } from './base-api-client.js';

export interface FollowOptions {
  /** Called with each new state of the operation, while it runs. */
  readonly onUpdate?: (operation: Operation) => void;
  /** How long an operation may last before anybody asks how far it is, and how often they ask a server that tells no events; 500 unless told. Only with `onUpdate`. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
  /** How long the server may be silent after it should have spoken, though an operation may take days; 25 seconds unless told. */
  readonly stallMs?: number;
}

const longestRound = 20;

/**
 * Waits for the operation an `async` answer names, in rounds, so that a server that stalls is noticed. Returns its last state; a failed or cancelled
 * one throws `internal` with its words and itself as `details.operation`. An answer without an operation is returned as a finished one.
 */
export async function followOperation(api: BaseApiClient, answer: ApiAnswer<unknown>, options: FollowOptions = {}): Promise<Operation> {
  if (answer.type === 'sync') return answer.metadata as Operation;
  const { secret } = (answer.metadata as Operation).metadata ?? {};
  const { stallMs = 25_000 } = options;
  const roundSeconds = Math.max(1, Math.min(longestRound, Math.floor(stallMs / 1000)));
  const path = answer.operation.split('?')[0]!;
  const query = typeof secret === 'string' ? `&secret=${encodeURIComponent(secret)}` : '';
  const stopWatching = options.onUpdate === undefined ? () => undefined : watch(api, path, options.onUpdate, { ...options, stallMs });
  try {
    for (;;) {
      const operation = await api.get<Operation>(`${path}/wait?timeout=${roundSeconds}${query}`, { signal: options.signal, idleTimeoutMs: stallMs + roundSeconds * 1000 });
      if (operation.status_code < 200) continue;
      if (operation.status_code !== 200) throw internal(operation.err || (operation.status_code === 401 ? 'Operation was cancelled' : `The server does not say how operation "${path}" has ended`), { details: { operation } });
      return operation;
    }
  } finally {
    stopWatching();
  }
}

/**
 * Tells of each state of an operation that lasts: by the server's events, which come when something has changed; where those cannot be had, or have ended, by
 * asking again and again. Returns how to stop.
 */
function watch(api: BaseApiClient, path: string, onUpdate: (operation: Operation) => void, options: FollowOptions): () => void {
  const everyMs = options.everyMs ?? 500;
  const id = path.split('/').at(-1);
  let stopped = false;
  let stream: EventStream | undefined;
  let timer: ReturnType<typeof setTimeout>;
  const tell = (operation: Operation): void => { if (!stopped) onUpdate(operation); };
  const look = (): Promise<void> => api.get<Operation>(path, { signal: options.signal, idleTimeoutMs: options.stallMs }).then(tell, () => undefined);
  const ask = (): void => {
    if (stopped) return;
    void look();
    timer = setTimeout(ask, everyMs);
  };
  const hear = async (): Promise<void> => {
    stream = await api.events({ types: ['operation'] }, ({ metadata }) => { if ((metadata as Operation | null)?.id === id) tell(metadata as Operation); });
    if (stopped) return stream.close();
    // What was so before the events were listened to.
    await look();
    await stream.closed;
  };
  timer = setTimeout(() => { void hear().catch(() => undefined).then(ask); }, everyMs);
  return () => {
    stopped = true;
    clearTimeout(timer);
    stream?.close();
  };
}
