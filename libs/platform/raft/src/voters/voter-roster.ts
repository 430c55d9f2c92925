import type { VoterPorts } from './local-voter.js';
import type { VoterPart } from './voter-choice.rules.js';

/** What `nodes.raft` holds. */
export interface VoterAddress extends VoterPorts {
  /** etcd's own id, decimal text. */
  readonly id: string;
}

/** The row of a member, or of a witness, as far as it concerns the voters. */
export interface RosterMember {
  readonly id: number;
  readonly name: string;
  readonly witness: boolean;
  /** `host:port` of its cluster listener; of a witness the host counts. */
  readonly address: string;
  readonly failureDomain: string;
  /** False while it is joining. */
  readonly created: boolean;
  readonly evacuated: boolean;
  readonly part: VoterPart;
  readonly raft: VoterAddress | null;
}

export interface VoterSettings {
  readonly maxVoters: number;
  readonly maxStandby: number;
  readonly offlineThresholdMs: number;
}

export interface RosterChange {
  readonly memberId: number;
  readonly part: VoterPart;
  readonly raft: VoterAddress | null;
}

/** The rows that say who votes. What etcd itself says is the truth; the rows are for finding voters without it, and for showing. */
export abstract class VoterRoster {
  /** Members and witnesses. */
  abstract members(): readonly RosterMember[];
  abstract settings(): VoterSettings;
  /** Resolves when the rows here are as new as anything acknowledged before. Rejects when that cannot be known now. */
  abstract upToDate(): Promise<void>;
  abstract record(changes: readonly RosterChange[]): Promise<void>;
  /** Rows or settings may have changed. Returns the way to stop. */
  abstract onChange(listener: () => void): () => void;
}
