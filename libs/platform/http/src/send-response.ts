import type { FastifyReply } from 'fastify';
import { EncodedJson, encodeMetadata } from '#api-types';
import { etagOf } from './etag.js';
import { ApiResponse, OperationApiResponse, StreamApiResponse, SyncApiResponse } from './responses.js';

const syncHead = '{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":';

/** Sends what a controller returned: one of the responses, or plain metadata (undefined = the empty object). */
export function sendResult(reply: FastifyReply, result: unknown): void {
  if (!ApiResponse.is(result)) sendSync(reply, 200, result === undefined ? {} : result);
  else if (result instanceof SyncApiResponse) sendSyncResponse(reply, result);
  else if (result instanceof OperationApiResponse) sendOperation(reply, result);
  else if (result instanceof StreamApiResponse) sendStream(reply, result);
}

function sendSyncResponse(reply: FastifyReply, { metadata, httpStatus, options }: SyncApiResponse): void {
  if (options.etag !== undefined) reply.header('ETag', `"${etagOf(options.etag)}"`);
  if (options.location !== undefined) reply.header('Location', options.location);
  if (options.headers !== undefined) reply.headers(options.headers);
  sendSync(reply, httpStatus, metadata);
}

function sendSync(reply: FastifyReply, status: number, metadata: unknown): void {
  sendJson(reply, status, `${syncHead}${metadata instanceof EncodedJson ? metadata.text : encodeMetadata(metadata)}}\n`);
}

function sendOperation(reply: FastifyReply, { operation, headers }: OperationApiResponse): void {
  const url = `/1.0/operations/${operation.id}`;
  reply.headers(headers).header('Location', url);
  const metadata = encodeMetadata(operation.api());
  sendJson(reply, 202, `{"type":"async","status":"Operation created","status_code":100,"operation":"${url}","error_code":0,"error":"","metadata":${metadata}}\n`);
}

/**
 * Sends JSON past Fastify, which would add a charset to the content type that LXD does not send, and copy headers for hooks that
 * nobody has registered.
 */
export function sendJson(reply: FastifyReply, status: number, text: string): void {
  reply.hijack();
  reply.raw.writeHead(status, {
    ...(reply.getHeaders() as Record<string, string>),
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  reply.raw.end(text);
}

function sendStream(reply: FastifyReply, { body, options }: StreamApiResponse): void {
  reply.code(options.status ?? 200).header('Content-Type', options.contentType ?? 'application/octet-stream');
  if (options.headers !== undefined) reply.headers(options.headers);
  if (options.size !== undefined) reply.header('Content-Length', options.size);
  if (typeof body !== 'string' && !Buffer.isBuffer(body) && reply.request.method === 'HEAD') {
    // Nothing will be read from it, and Fastify would take the empty body's length for the answer's.
    body.destroy();
    reply.hijack();
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>).end();
    return;
  }
  reply.send(body);
}
