import { AppError, messageOf, type Logger } from '#kernel';
import type { MemberLiveness, Peers } from '#ports';
import type { EtcdMember } from '../etcd/etcd-messages.js';
import { peerUrl, splitHostPort, voterName, voterNameOf } from '../process/etcd-arguments.rules.js';
import type { VoterStep } from './voter-choice.rules.js';
import type { ClusterPart } from './voter-duties.js';
import type { VoterMemory } from './voter-memory.js';
import type { PreparedVoter } from './voter-messages.js';
import type { RosterChange, RosterMember, VoterRoster } from './voter-roster.js';
import { statusTimeoutMs, type VoterSight } from './voter-sight.js';

export interface VoterChangesParts {
  readonly roster: VoterRoster;
  readonly peers: Peers;
  readonly liveness: MemberLiveness;
  readonly logger: Logger;
}

const startTimeoutMs = 20_000;
const moveTimeoutMs = 2_000;

/** Carries out one step: in etcd, on the member concerned, in its row. On the member that leads. */
export class VoterChanges {
  constructor(private readonly parts: VoterChangesParts, private readonly sight: VoterSight, private readonly memory: VoterMemory) {}

  async carryOut(part: ClusterPart, step: VoterStep, etcd: readonly EtcdMember[]): Promise<void> {
    const { logger } = this.parts;
    switch (step.kind) {
      case 'add':
        logger.info('Adding a voter', { memberId: step.memberId });
        await this.add(part, step.memberId);
        return;
      case 'promote':
        await this.promote(part, step.etcdId, step.memberId);
        return;
      case 'remove':
        logger.info('Removing a voter', { memberId: step.memberId, reason: step.why });
        await this.remove(part, step.etcdId, step.memberId);
        return;
      case 'hand-over':
        await this.moveLeader(part, etcd.find(({ name }) => name === voterName(step.to))!.ID);
        return;
      case 'wait':
    }
  }

  async moveLeader(part: ClusterPart, to: string): Promise<boolean> {
    const endpoint = this.sight.ownEndpoint()!;
    try {
      await part.client.moveLeader(endpoint, to, { timeoutMs: moveTimeoutMs });
      return true;
    } catch (error) {
      // The answer is lost at times because the leader changes, and asked again the former leader refuses.
      const { leader, header } = await part.client.status(endpoint, { timeoutMs: statusTimeoutMs });
      if (leader !== header.memberId && leader !== '0') return true;
      this.parts.logger.debug('A voter did not take the lead', { etcdId: to, error: messageOf(error) });
      return false;
    }
  }

  async record(changes: readonly RosterChange[]): Promise<void> {
    if (changes.length > 0) await this.parts.roster.record(changes);
  }

  private async add(part: ClusterPart, memberId: number): Promise<void> {
    const { client, incarnation } = part;
    const { peers } = this.parts;
    const row = this.sight.row(memberId);
    const ports = row.witness ? row.raft : await this.prepared(part, memberId);
    if (ports === null) return;
    const { peerPort, clientPort } = ports;
    const { member, members } = await client.addMember([peerUrlOf(row, ports)], true);
    this.memory.noteLearner(member.ID);
    await this.record([{ memberId, part: 'learner', raft: { peerPort, clientPort, id: member.ID } }]);
    // It looks for itself in etcd's list, and starts.
    if (row.witness) return;
    const initialCluster = initialClusterOf(members, member.ID, voterNameOf(row));
    try {
      await peers.call(memberId, 'raft.start-voter', { incarnation, peerPort, clientPort, initialCluster }, { timeoutMs: startTimeoutMs });
    } catch (error) {
      this.failed(memberId, error);
      await this.remove(part, member.ID, memberId);
    }
  }

  /** Where the member's voter will listen; null when it cannot have one. */
  private async prepared({ client, incarnation }: ClusterPart, memberId: number): Promise<PreparedVoter | null> {
    const { version } = await client.status(this.sight.ownEndpoint()!, { timeoutMs: statusTimeoutMs });
    return this.parts.peers.call<PreparedVoter>(memberId, 'raft.prepare-voter', { incarnation, version }).catch((error: unknown) => {
      this.failed(memberId, error);
      return null;
    });
  }

  /** The member is not asked again for a while. */
  private failed(memberId: number, error: unknown): void {
    this.memory.noteFailed(memberId);
    this.parts.logger.warn('A member could not start a voter', { memberId, error: messageOf(error) });
  }

  /** etcd refuses until the learner has nearly everything; then the next round tries again. */
  private async promote(part: ClusterPart, etcdId: string, memberId: number): Promise<void> {
    try {
      await part.client.promoteMember(etcdId);
      this.memory.forgetLearner(etcdId);
      this.parts.logger.info('A member votes', { memberId });
    } catch (error) {
      if (!AppError.is(error, 'precondition')) throw error;
      this.parts.logger.debug('A learner is not promoted yet', { memberId, error: messageOf(error) });
    }
  }

  private async remove(part: ClusterPart, etcdId: string, memberId: number | null): Promise<void> {
    const { peers, liveness, logger } = this.parts;
    await part.client.removeMember(etcdId);
    if (this.memory.forgetLearner(etcdId) && memberId !== null) this.memory.noteFailed(memberId);
    const row = this.parts.roster.members().find(({ id }) => id === memberId);
    if (memberId === null || row === undefined) return;
    await this.record([{ memberId, part: '', raft: row.witness ? row.raft : null }]);
    if (row.witness || !liveness.isOnline(memberId)) return;
    // Its etcd hears of it by itself; this only saves it from finding out late.
    await peers.call(memberId, 'raft.stop-voter', { incarnation: part.incarnation }).catch((error: unknown) => logger.debug('A former voter was not told', { memberId, error: messageOf(error) }));
  }
}

/** What a learner is started with: etcd's list, in which it has no name yet. */
export function initialClusterOf(members: readonly EtcdMember[], learnerId: string, name: string): Record<string, string> {
  return Object.fromEntries(members.map((other) => [other.ID === learnerId ? name : other.name, other.peerURLs[0]!]));
}

function peerUrlOf(row: RosterMember, ports: PreparedVoter): string {
  return peerUrl({ advertisedHost: splitHostPort(row.address).host, peerPort: ports.peerPort });
}
