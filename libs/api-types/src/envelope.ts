export * from './wire-json.js';

/** Every answer of the API that is not a stream. All seven fields are always there, in this order. */
export interface Envelope {
  readonly type: 'sync' | 'async' | 'error';
  /** Example: Success */
  readonly status: string;
  /** Example: 200; an operation's code (100: created) on `async` */
  readonly status_code: number;
  /** URL of the operation on `async`, else empty. Example: /1.0/operations/66e83638-9dd7-4a26-aef2-5462814869a1 */
  readonly operation: string;
  /** HTTP status of an error, else 0. */
  readonly error_code: number;
  readonly error: string;
  readonly metadata: unknown;
}

/** Who asked, as events and operations show it. */
export interface RequestorApi {
  /** User name on the unix socket, fingerprint over TLS. */
  readonly username: string;
  /** Example: unix */
  readonly protocol: string;
  /** `@` for the unix socket. Example: 10.0.2.15:51234 */
  readonly address: string;
}

/** Status codes of the API, the same numbers LXD uses. */
export const statusCode = {
  operationCreated: 100,
  started: 101,
  stopped: 102,
  running: 103,
  cancelling: 104,
  pending: 105,
  starting: 106,
  stopping: 107,
  aborting: 108,
  freezing: 109,
  frozen: 110,
  thawed: 111,
  error: 112,
  ready: 113,
  success: 200,
  failure: 400,
  cancelled: 401,
} as const;
