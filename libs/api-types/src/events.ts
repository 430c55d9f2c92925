import type { RequestorApi } from './envelope.js';

/** Kinds of events on `GET /1.0/events`. */
export const eventTypes = ['logging', 'operation', 'lifecycle'] as const;
export type EventType = (typeof eventTypes)[number];

/** One message of the event stream. Fields in the order LXD writes them. */
export interface EventApi {
  readonly type: EventType;
  /** RFC 3339 with nanoseconds. Example: 2026-11-21T04:50:47.671171306Z */
  readonly timestamp: string;
  readonly metadata: unknown;
  /** Name of the member it happened on; `none` when not clustered. */
  readonly location?: string;
  /** Absent on events that belong to no project (logging). */
  readonly project?: string;
}

/** Metadata of a `lifecycle` event. */
export interface LifecycleApi {
  /** Example: instance-started */
  readonly action: string;
  /** Example: /1.0/instances/c1?project=web */
  readonly source: string;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly requestor?: RequestorApi;
}

/** Metadata of a `logging` event. */
export interface LoggingApi {
  readonly message: string;
  /** Example: info */
  readonly level: string;
  readonly context: Readonly<Record<string, string>>;
}
