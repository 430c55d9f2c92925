import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { AppError, messageOf, type ErrorKind } from '#kernel';

const codeOfKind: Readonly<Record<ErrorKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  forbidden: status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  conflict: status.ALREADY_EXISTS,
  precondition: status.FAILED_PRECONDITION,
  'not-implemented': status.UNIMPLEMENTED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
};

const kindOfCode = new Map<status, ErrorKind>([
  ...Object.entries(codeOfKind).map(([kind, code]) => [code, kind as ErrorKind] as const),
  [status.ABORTED, 'conflict'],
  [status.DEADLINE_EXCEEDED, 'unavailable'],
  [status.CANCELLED, 'unavailable'],
]);

/** The trailer that carries an error's message and details, since the status message of HTTP/2 is limited to ASCII. */
const errorTrailer = 'roost-error-bin';

/** Any error thrown by a handler, as gRPC sends it. */
export function toServiceError(error: unknown): Partial<ServiceError> {
  const kind = error instanceof AppError ? error.kind : 'internal';
  const details = error instanceof AppError ? error.details : {};
  const metadata = new Metadata();
  metadata.set(errorTrailer, Buffer.from(JSON.stringify({ kind, message: messageOf(error), details })));
  return { code: codeOfKind[kind], details: kind, metadata };
}

/** Whether the other side sent this, as opposed to a connection that broke. */
export function isAnswer(error: ServiceError): boolean {
  return error.metadata?.get(errorTrailer)[0] !== undefined;
}

/** What a caller sees: the same kind and message as were thrown on the other side; `unavailable` when nobody answered. */
export function fromServiceError(error: ServiceError): AppError {
  const carried = error.metadata?.get(errorTrailer)[0];
  if (carried !== undefined) {
    const { kind, message, details } = JSON.parse(carried.toString()) as { kind: ErrorKind; message: string; details: Record<string, unknown> };
    return new AppError(kind, message, { cause: error, details });
  }
  return new AppError(kindOfCode.get(error.code) ?? 'internal', error.details || error.message, { cause: error });
}
