/**
 * Which members of the cluster are there. A member counts as seen for as long as it keeps its lease, and as online until
 * `cluster.offline_threshold` after that. Standalone: this member alone, without a leader.
 */
export abstract class MemberLiveness {
  abstract isOnline(memberId: number): boolean;
  /** When it was last known to be there, milliseconds since 1970 by this member's clock; null when it never was since this process started. */
  abstract lastSeenMs(memberId: number): number | null;
  /** The member that leads the log; null during an election and standalone. */
  abstract leaderId(): number | null;
  /** Tells when a member came, went offline, or the leader changed. Returns what ends it. */
  abstract onChange(listener: () => void): () => void;
}
