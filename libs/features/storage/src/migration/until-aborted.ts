import { AppError, unavailable } from '#kernel';

/** What a promise resolves to, unless the signal comes first. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  work.catch(() => undefined);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What the other side says, if it says it in time. @throws `unavailable` when it says nothing, and what the signal was aborted with. */
export async function untilSaid<T>(word: Promise<T>, signal: AbortSignal, patienceMs: number): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(unavailable('The other side says nothing')), patienceMs);
  try {
    return await untilAborted(word, AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** What is aborted with the signal says why in words. Call what is returned to let go of the signal. */
export function abortWith(signal: AbortSignal, abort: AbortController): () => void {
  const giveUp = (): void => abort.abort(AppError.is(signal.reason) ? signal.reason : unavailable('The migration was given up'));
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  return () => signal.removeEventListener('abort', giveUp);
}

/** How long who only saw the other side go waits for its word, in milliseconds. */
const lastWordMs = 2000;

/** The more telling of two reasons: the other side's word on why it went, where ours is no more than that it has gone. */
export async function tellingReason(error: unknown, word: Promise<unknown>): Promise<unknown> {
  if (!AppError.is(error, 'unavailable')) return error;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, lastWordMs);
  const said = await Promise.race([word, late]).then(() => error, (reason: unknown) => reason);
  clearTimeout(timer);
  return AppError.is(said, 'unavailable') ? error : said;
}

/** Whichever end fails first says why; the others only hear that it is over. */
export function reasonOf(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && AppError.is(signal.reason) ? signal.reason : error;
}
