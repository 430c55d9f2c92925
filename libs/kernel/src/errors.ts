/** What went wrong, in the terms a caller can act on. HTTP and gRPC codes are derived from it in one place each. */
export type ErrorKind =
  | 'invalid'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'precondition'
  | 'not-implemented'
  | 'unavailable'
  | 'internal';

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** Plain data for logs and for the caller; must survive JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The only error class thrown on purpose. Wrap at each boundary with the context the lower layer lacks. */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(kind: ErrorKind, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.details = options.details ?? {};
  }

  static is(error: unknown, kind?: ErrorKind): error is AppError {
    return error instanceof AppError && (kind === undefined || error.kind === kind);
  }
}

export const invalid = (message: string, options?: AppErrorOptions): AppError => new AppError('invalid', message, options);
export const forbidden = (message: string, options?: AppErrorOptions): AppError => new AppError('forbidden', message, options);
export const notFound = (message: string, options?: AppErrorOptions): AppError => new AppError('not-found', message, options);
export const conflict = (message: string, options?: AppErrorOptions): AppError => new AppError('conflict', message, options);
export const precondition = (message: string, options?: AppErrorOptions): AppError => new AppError('precondition', message, options);
export const notImplemented = (message: string, options?: AppErrorOptions): AppError => new AppError('not-implemented', message, options);
export const unavailable = (message: string, options?: AppErrorOptions): AppError => new AppError('unavailable', message, options);
export const internal = (message: string, options?: AppErrorOptions): AppError => new AppError('internal', message, options);

/** The message of anything thrown, with the messages of its causes appended the way Go's `%w` chains read. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Add context in front of an error, keeping its kind: `wrap(e, 'Failed creating pool "p"')` reads `Failed creating pool "p": <e>`. */
export function wrap(error: unknown, context: string): AppError {
  const kind = error instanceof AppError ? error.kind : 'internal';
  const details = error instanceof AppError ? error.details : {};
  return new AppError(kind, `${context}: ${messageOf(error)}`, { cause: error, details });
}

/** A broken invariant: crashes the operation at hand, not the daemon. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw internal(`Broken invariant: ${message}`);
}
