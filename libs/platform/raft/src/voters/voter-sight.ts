import { unavailable, type LocalMember } from '#kernel';
import type { MemberLiveness } from '#ports';
import type { EtcdMember } from '../etcd/etcd-messages.js';
import { memberOfVoter, splitHostPort, voterNameOf } from '../process/etcd-arguments.rules.js';
import { clientEndpoint, type LocalVoter } from './local-voter.js';
import { partsOf, type MemberView, type VotersView, type VoterView } from './voter-choice.rules.js';
import type { ClusterPart } from './voter-duties.js';
import type { VoterMemory } from './voter-memory.js';
import type { RosterChange, RosterMember, VoterAddress, VoterRoster } from './voter-roster.js';

export interface VoterSightParts {
  readonly member: LocalMember;
  readonly voter: LocalVoter;
  readonly roster: VoterRoster;
  readonly liveness: MemberLiveness;
}

/** How things are, and etcd's own list. */
export interface Seen {
  readonly view: VotersView;
  readonly etcd: readonly EtcdMember[];
}

export const statusTimeoutMs = 1_000;

/** What etcd, the rows and the leases say of the voters. */
export class VoterSight {
  constructor(private readonly parts: VoterSightParts, private readonly memory: VoterMemory) {}

  async look(part: ClusterPart): Promise<Seen> {
    const { roster, member } = this.parts;
    const etcd = await part.client.members();
    const rows = roster.members();
    const voters = await Promise.all(etcd.map((voter) => this.voterView(part, voter, rows)));
    const settings = roster.settings();
    const members = rows.map((row) => this.memberView(row, voters.some((voter) => voter.memberId === row.id && !voter.learner), settings.offlineThresholdMs));
    return { etcd, view: { members, voters, leaderId: member.id, maxVoters: settings.maxVoters, maxStandby: settings.maxStandby } };
  }

  /** Rows that say another thing than etcd does, as they should be. */
  differences({ view, etcd }: Seen): RosterChange[] {
    const parts = partsOf(view);
    return this.parts.roster.members().flatMap((row) => {
      const wanted = parts.get(row.id) ?? '';
      const voting = wanted === 'voter' ? addressOf(etcd.find(({ name }) => name === voterNameOf(row))) ?? row.raft : wanted === 'learner' ? row.raft : null;
      // A witness chose its ports when it came, and is asked to vote there again.
      const raft = voting ?? (row.witness ? row.raft : null);
      return row.part === wanted && JSON.stringify(row.raft) === JSON.stringify(raft) ? [] : [{ memberId: row.id, part: wanted, raft }];
    });
  }

  async leads(part: ClusterPart): Promise<boolean> {
    const endpoint = this.ownEndpoint();
    if (endpoint === null) return false;
    const { leader, header } = await part.client.status(endpoint, { timeoutMs: statusTimeoutMs });
    return leader === header.memberId;
  }

  /** Where this member's own voter answers; null when it has none that runs. */
  ownEndpoint(): string | null {
    const node = this.parts.voter.running;
    return node === undefined ? null : clientEndpoint(`${splitHostPort(this.row(this.parts.member.id).address).host}:0`, node);
  }

  row(memberId: number): RosterMember {
    const row = this.parts.roster.members().find(({ id }) => id === memberId);
    if (row === undefined) throw unavailable(`Member ${memberId} is not in the rows of the cluster`);
    return row;
  }

  private memberView(row: RosterMember, votes: boolean, thresholdMs: number): MemberView {
    const { memory, parts: { liveness } } = this;
    // Nothing is known yet of members when this one has only just begun to look.
    const unknown = liveness.lastSeenMs(row.id) === null && memory.ageMs < thresholdMs;
    return {
      id: row.id, witness: row.witness, online: liveness.isOnline(row.id) || (votes && unknown), failureDomain: row.failureDomain, part: row.part, evacuated: row.evacuated,
      leaving: memory.isLeaving(row.id), failing: !row.created || memory.isFailing(row.id),
    };
  }

  private async voterView(part: ClusterPart, voter: EtcdMember, rows: readonly RosterMember[]): Promise<VoterView> {
    const row = rows.find((candidate) => voterNameOf(candidate) === voter.name) ?? rows.find((candidate) => candidate.raft?.id === voter.ID);
    const view = { etcdId: voter.ID, memberId: row?.id ?? memberOfVoter(voter.name), learner: voter.isLearner };
    if (!voter.isLearner) return { ...view, answers: true, ageMs: 0 };
    this.memory.noteLearner(voter.ID);
    const answers = row?.raft ? await part.client.status(clientEndpoint(row.address, row.raft), { timeoutMs: statusTimeoutMs }).then(() => true, () => false) : false;
    return { ...view, answers, ageMs: this.memory.noteLearner(voter.ID) };
  }
}

/** Where a voter that runs says it listens. */
function addressOf(voter: EtcdMember | undefined): VoterAddress | null {
  const [peer, client] = [voter?.peerURLs[0], voter?.clientURLs[0]];
  return voter === undefined || peer === undefined || client === undefined ? null : { peerPort: Number(new URL(peer).port), clientPort: Number(new URL(client).port), id: voter.ID };
}
