import type { EtcdKeeperEvents } from '#platform/raft';

/** Who looks after the voters of the cluster and after this member's own; given to the log once it is there. */
export interface VoterOversight {
  /** Told what becomes of this member's etcd, and at once why it was not started with the data it had. */
  readonly events: EtcdKeeperEvents;
  /** Lets another vote in a member's place and takes its voter out, in the order that is safe. */
  retire(memberId: number): Promise<void>;
}
