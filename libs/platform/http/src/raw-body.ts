import type { FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { parseJsonBody } from './json-syntax.rules.js';
import { readText } from './json-body.js';
import { ofBody } from './refused-bodies.js';

/** A request body nobody has read; the route decides whether it is JSON or bytes. */
export interface RawRequestBody {
  /** Pause it and the client waits: backpressure reaches the socket. */
  readonly stream: Readable;
  /** Empty when the client sent none. */
  readonly contentType: string;
  /** Content-Length, null when the client sent none. */
  readonly size: number | null;
  /** Reads everything as JSON, with the limits and wording of `@Body()`; undefined for an empty body. */
  json(): Promise<unknown>;
}

/** The unread body of a request to a streaming route. */
export function rawBodyOf(request: FastifyRequest): RawRequestBody {
  const size = declaredSizeOf(request);
  return {
    stream: request.raw,
    contentType: request.headers['content-type'] ?? '',
    size,
    async json() {
      const text = await readText(request.raw, size);
      try {
        return text === '' ? undefined : parseJsonBody(text);
      } catch (error) {
        throw ofBody(error);
      }
    },
  };
}

/** Content-Length as a number, null when there is none. */
export function declaredSizeOf(request: FastifyRequest): number | null {
  const text = request.headers['content-length'];
  return text === undefined ? null : Number(text);
}
