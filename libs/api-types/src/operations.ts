import type { RequestorApi } from './envelope.js';

/** Class of an operation on the wire. */
export type OperationClass = 'task' | 'websocket' | 'token';

/** Words and codes of LXD's API for the state of an operation. */
export const operationStatusCodes = {
  Pending: 105,
  Running: 103,
  Cancelling: 104,
  Success: 200,
  Failure: 400,
  Cancelled: 401,
} as const;

export type OperationStatus = keyof typeof operationStatusCodes;

/** True once nothing about the operation changes any more. */
export function isFinalStatus(status: OperationStatus): boolean {
  return operationStatusCodes[status] >= 200;
}

/** An operation as `/1.0/operations/{id}` and the `operation` events show it. Times are RFC 3339. */
export interface Operation {
  /** Example: `6916c8a6-9b7d-4abd-90b3-aedfec7ec7da`; the first four digits of the last group are the member's number. */
  id: string;
  class: OperationClass;
  /** Example: `Creating instance`. */
  description: string;
  created_at: string;
  updated_at: string;
  status: OperationStatus;
  status_code: number;
  /** Example: `{"instances": ["/1.0/instances/foo"]}`; null where nothing is named. */
  resources: Record<string, string[] | null> | null;
  metadata: Record<string, unknown> | null;
  may_cancel: boolean;
  /** Why it failed, empty otherwise. */
  err: string;
  /** Name of the member that runs it, `none` on a standalone one. */
  location: string;
}

/** An operation that has ended, as `/internal/history` has it. Roost's own; times are RFC 3339. */
export interface OperationRecord {
  readonly id: string;
  /** Example: `instance.start`. */
  readonly kind: string;
  readonly description: string;
  readonly status: string;
  /** Why it failed, empty otherwise. */
  readonly err: string;
  readonly created_at: string;
  /** When it ended. */
  readonly updated_at: string;
  /** The member that carried it out. */
  readonly location: string;
  readonly requestor: RequestorApi;
  readonly metadata: Readonly<Record<string, unknown>>;
}
