import type { Readable } from 'node:stream';
import type { RequestContext } from '#kernel';
import type { Tx } from './transaction.js';

/** What a joining member needs to follow the log. Plain data; secret, since it holds credentials of the log's engine. */
export interface Admission {
  readonly incarnation: string;
  /** Schema level of the cluster; a program that does not know it may not join. */
  readonly level: number;
  /** Where the voters answer, as `host:port`. */
  readonly endpoints: readonly string[];
  /** etcd's own cluster id, decimal. */
  readonly clusterId: string;
  /** PEM of the authority of the log's engine. */
  readonly ca: string;
  /** PEM of its key: each member signs the certificate of its own voter. */
  readonly caKey: string;
}

/** What a witness needs to vote in the log. Plain data; secret, since its certificate opens the log. */
export interface WitnessAdmission extends Omit<Admission, 'level' | 'caKey'> {
  /** PEM: signed for this witness alone. */
  readonly certificate: string;
  readonly key: string;
}

/** How far this member's view of the cluster's log can be trusted. */
export interface ClusterLogState {
  readonly clustered: boolean;
  /** `waiting`: no answer yet, as during an election; `lost`: established, so that nobody waits for it. */
  readonly quorum: 'ok' | 'waiting' | 'lost';
  /** Index of the last entry applied here. */
  readonly head: number;
  /** Schema levels this program knows; the database may be at an earlier one. */
  readonly knownLevel: number;
}

/**
 * The life of this member's database between standing alone and being part of a cluster. Each change is one that a kill at any moment leaves
 * done or not begun, seen after the next start.
 */
export abstract class ClusterLog {
  /** A new history with one voter, this member; `fill` writes the first rows in it. `LocalMember` is the caller's to change. */
  abstract enable(ctx: RequestContext, member: { readonly name: string; readonly address: string }, fill: (tx: Tx) => void): Promise<void>;
  /** On a serving member: what the member with this id needs to join. */
  abstract admission(memberId: number): Promise<Admission>;
  /** Replaces this member's database by the cluster's: the snapshot that `fetchSnapshot` opens, then the log from there. */
  abstract join(ctx: RequestContext, memberId: number, admission: Admission, fetchSnapshot: () => Promise<Readable>): Promise<void>;
  /**
   * On a member that a recovery left behind: keeps what it has in a safety copy, and goes on with the recovered cluster's database and log under the same
   * number. The cluster has accepted it as that member. Returns where the copy is. Safe to repeat, also after a kill: the former history is left
   * either way.
   */
  abstract rejoin(ctx: RequestContext, admission: Admission, fetchSnapshot: () => Promise<Readable>): Promise<{ readonly backup: string }>;
  /** On a serving member: a copy of the database for a joiner, as `join` takes it. Destroy the stream to give up. */
  abstract snapshot(): Promise<Readable>;
  /** The content here is not what the others hold: keeps it aside, and takes the copy that `fetch` opens. `reason` is for the log. */
  abstract refetch(reason: string, fetch: () => Promise<Readable>): Promise<void>;
  /**
   * On a serving member, before the row of `memberId` goes: takes that member out of the log's voters, so that it may vanish without costing the
   * quorum. Safe to repeat; done at once for a member that does not vote.
   */
  abstract release(memberId: number): Promise<void>;
  /** On a serving member, once its row is there: lets a witness in that is reached at `host`, a name or an address. Whether it votes is decided as for members. */
  abstract admitWitness(witnessId: number, host: string): Promise<WitnessAdmission>;
  /** On a serving member, after `release` and before its row goes: the witness sees it and ends. Safe to repeat. */
  abstract dismissWitness(witnessId: number): Promise<void>;
  /** Back to an empty database that stands alone. Stops this member's part of the log's engine and removes its files. */
  abstract leave(): Promise<void>;
  abstract state(): ClusterLogState;
}
