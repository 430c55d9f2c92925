/** What is known of one member's lease. */
export interface Presence {
  /** Whether its key was there when the log was last heard. */
  readonly held: boolean;
  /** When the key went, milliseconds of the monotonic clock; counts while it is not held. */
  readonly goneMs: number;
}

/** When the member was last there. While it holds its lease that is as new as our own contact with the log. */
export function lastSeen(presence: Presence | undefined, contactMs: number): number | null {
  if (presence === undefined) return null;
  return presence.held ? contactMs : presence.goneMs;
}

/** Whether a member last seen then counts as online now. */
export function isOnlineAt(lastSeenMs: number | null, nowMs: number, thresholdMs: number): boolean {
  return lastSeenMs !== null && nowMs - lastSeenMs <= thresholdMs;
}
