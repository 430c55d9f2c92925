import type { Operation } from '#api-types';
import { internal } from '#kernel';
import type { ApiAnswer, BaseApiClient } from './base-api-client.js';

export interface FollowOptions {
  /** Called with each new state of the operation, while it runs. */
  readonly onUpdate?: (operation: Operation) => void;
  /** How often to look while it runs; 500 unless told. Only with `onUpdate`. */
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
  const look = options.onUpdate === undefined ? undefined : setInterval(() => {
    api.get<Operation>(path, { signal: options.signal, idleTimeoutMs: stallMs }).then(options.onUpdate, () => undefined);
  }, options.everyMs ?? 500);
  try {
    for (;;) {
      const operation = await api.get<Operation>(`${path}/wait?timeout=${roundSeconds}${query}`, { signal: options.signal, idleTimeoutMs: stallMs + roundSeconds * 1000 });
      if (operation.status_code < 200) continue;
      if (operation.status_code !== 200) throw internal(operation.err === '' ? 'Operation was cancelled' : operation.err, { details: { operation } });
      return operation;
    }
  } finally {
    clearInterval(look);
  }
}
