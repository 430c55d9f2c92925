import type { Readable } from 'node:stream';

/** Headers to add to a response. Names are sent as written. */
export type ResponseHeaders = Readonly<Record<string, string>>;

export interface SyncOptions {
  /** What the ETag is computed over: the editable fields, as LXD chooses them per noun. Absent = no ETag header. */
  readonly etag?: unknown;
  readonly location?: string;
  readonly headers?: ResponseHeaders;
}

/** What a controller returned, in a form the adapter knows how to send. Anything else is a sync response with that value. */
export abstract class ApiResponse {
  private readonly brand = 'ApiResponse';

  /** Narrow type guard that survives two copies of this module. */
  static is(value: unknown): value is ApiResponse {
    return value instanceof ApiResponse && value.brand === 'ApiResponse';
  }
}

export class SyncApiResponse extends ApiResponse {
  constructor(
    readonly metadata: unknown,
    readonly httpStatus: number,
    readonly options: SyncOptions,
  ) {
    super();
  }
}

/** The part of an operation's handle a 202 answer needs; `OperationHandle` of platform/operations fits. */
export interface OperationSource {
  readonly id: string;
  /** The operation as on the wire, at this moment. */
  api(): unknown;
}

export class OperationApiResponse extends ApiResponse {
  constructor(
    readonly operation: OperationSource,
    readonly headers: ResponseHeaders,
  ) {
    super();
  }
}

export interface StreamOptions {
  readonly headers?: ResponseHeaders;
  /** Default `application/octet-stream`. */
  readonly contentType?: string;
  /** Bytes, where known: sent as Content-Length. Buffers and text know their own. */
  readonly size?: number;
  readonly status?: number;
}

export class StreamApiResponse extends ApiResponse {
  constructor(
    readonly body: Readable | Buffer | string,
    readonly options: StreamOptions,
  ) {
    super();
  }
}

/** 200 with `metadata`. */
export function syncResponse(metadata: unknown, options: SyncOptions = {}): ApiResponse {
  return new SyncApiResponse(metadata, 200, options);
}

/** 200 with the empty object: what LXD answers to a PUT, PATCH or DELETE that is done at once. */
export function emptyResponse(): ApiResponse {
  return new SyncApiResponse({}, 200, {});
}

/** 201 with `Location` and null metadata. */
export function createdResponse(location: string): ApiResponse {
  return new SyncApiResponse(null, 201, { location });
}

/** 202 with `Location` naming the operation, and the operation as metadata. */
export function operationResponse(operation: OperationSource, headers: ResponseHeaders = {}): ApiResponse {
  return new OperationApiResponse(operation, headers);
}

/** A body that is not the envelope: image export, logs, metrics, files. A stream is destroyed when the client goes away. */
export function streamResponse(body: Readable | Buffer | string, options: StreamOptions = {}): ApiResponse {
  return new StreamApiResponse(body, options);
}
