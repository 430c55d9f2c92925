import { AppError } from '#kernel';

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

/** Whichever end fails first says why; the others only hear that it is over. */
export function reasonOf(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && AppError.is(signal.reason) ? signal.reason : error;
}
