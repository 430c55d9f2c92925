import type { RequestContext } from '#kernel';
import type { Tx } from '#platform/database';
import type { WebSocket } from 'ws';
import type { OperationHandle } from './operation-handle.js';

export interface ScheduleOptions {
  /** Objects it works on, as shown: `{ instances: ['/1.0/instances/c1'] }`. */
  readonly resources: Record<string, string[]>;
  readonly metadata?: Record<string, unknown>;
  /** Rows that must appear together with the operation; its undo is the first step's. Throw to refuse the request. */
  readonly reserve?: (tx: Tx) => void | Promise<void>;
}

/** What an in-memory operation may use while it runs. */
export interface RunningOperation {
  readonly id: string;
  readonly signal: AbortSignal;
  update(metadata: Record<string, unknown>): void;
}

export interface InMemoryOptions {
  /** `instance.start`; for the history and for busy texts. */
  readonly kind: string;
  readonly class: 'task' | 'websocket' | 'token';
  readonly description: string;
  readonly resources: Record<string, string[]>;
  readonly metadata?: Record<string, unknown>;
  readonly conflictKey?: string | null;
  readonly action?: string;
  /** Its result is merged into the metadata. Absent for tokens, which stay Running until cancelled. */
  readonly run?: (operation: RunningOperation) => Promise<Record<string, unknown> | void>;
  /** Absent: not cancellable (tokens always are). Called before the signal aborts. */
  readonly cancel?: () => Promise<void>;
  /** Answers `/1.0/operations/{id}/websocket?secret=`; throws `forbidden` for a wrong secret. */
  readonly connect?: (secret: string, accept: () => Promise<WebSocket>) => Promise<void>;
}

export abstract class OperationsService {
  abstract schedule<P>(ctx: RequestContext, kind: string, params: P, options: ScheduleOptions): Promise<OperationHandle>;
  abstract runInMemory(ctx: RequestContext, options: InMemoryOptions): Promise<OperationHandle>;
}
