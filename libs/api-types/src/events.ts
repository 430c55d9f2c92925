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
