import { STATUS_CODES } from 'node:http';
import { AppError, messageOf, type ErrorKind, type Logger } from '#kernel';
import { encodeJson, type Envelope } from '#api-types';

const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  precondition: 412,
  internal: 500,
  'not-implemented': 501,
  unavailable: 503,
};

/** Errors of the framework below us: Nest's HttpException has a method, Fastify's errors a field. */
interface FrameworkError {
  readonly getStatus?: () => number;
  readonly statusCode?: number;
}

/** HTTP status of anything thrown. `details.httpStatus` of an AppError wins, for the few statuses that are no kind (413). */
export function statusOfError(error: unknown): number {
  if (error instanceof AppError) return typeof error.details.httpStatus === 'number' ? error.details.httpStatus : statusOfKind[error.kind];
  const status = (error as FrameworkError | null)?.getStatus?.() ?? (error as FrameworkError | null)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

/** The error envelope as text. LXD ends its error bodies with two line feeds. */
export function encodeError(status: number, message: string): string {
  const envelope = { type: 'error', status: '', status_code: 0, operation: '', error_code: status, error: message, metadata: null } satisfies Envelope;
  return `${encodeJson(envelope)}\n\n`;
}

export const errorHeaders = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' } as const;

/** Status and body for anything thrown; what nobody threw on purpose is logged with its stack, since it is our bug. */
export function describeError(error: unknown, logger: Logger, url: string): { status: number; body: string } {
  const status = statusOfError(error);
  if (!(error instanceof AppError) && status === 500) {
    logger.error('Request failed unexpectedly', { url, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
  return { status, body: encodeError(status, messageOf(error)) };
}

/** A whole HTTP/1.1 error answer, for connections that have no response object (upgrades, malformed requests). */
export function rawErrorResponse(status: number, body: string, headers: Readonly<Record<string, string>> = errorHeaders): string {
  const all = { ...headers, 'Content-Length': String(Buffer.byteLength(body)), Connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}
