import { AppError, messageOf, type Logger } from '#kernel';
import type { MemberLiveness, Peers } from '#ports';
import type { EtcdMember } from '../etcd/etcd-messages.js';
import { peerUrl, splitHostPort, voterName } from '../process/etcd-arguments.rules.js';
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
    const { version } = await client.status(this.sight.ownEndpoint()!, { timeoutMs: statusTimeoutMs });
    const ports = await peers.call<PreparedVoter>(memberId, 'raft.prepare-voter', { incarnation, version }).catch((error: unknown) => this.failed(memberId, error));
    if (ports === undefined) return;
    const { member, members } = await client.addMember([peerUrlOf(this.sight.row(memberId), ports)], true);
    this.memory.noteLearner(member.ID);
    await this.record([{ memberId, part: 'learner', raft: { ...ports, id: member.ID } }]);
    const initialCluster = Object.fromEntries(members.map((other) => [other.ID === member.ID ? voterName(memberId) : other.name, other.peerURLs[0]!]));
    try {
      await peers.call(memberId, 'raft.start-voter', { incarnation, ...ports, initialCluster }, { timeoutMs: startTimeoutMs });
    } catch (error) {
      this.failed(memberId, error);
      await this.remove(part, member.ID, memberId);
    }
  }

  /** The member is not asked again for a while. */
  private failed(memberId: number, error: unknown): undefined {
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
    if (memberId === null || !this.parts.roster.members().some(({ id }) => id === memberId)) return;
    await this.record([{ memberId, part: '', raft: null }]);
    if (!liveness.isOnline(memberId)) return;
    // Its etcd hears of it by itself; this only saves it from finding out late.
    await peers.call(memberId, 'raft.stop-voter', { incarnation: part.incarnation }).catch((error: unknown) => logger.debug('A former voter was not told', { memberId, error: messageOf(error) }));
  }
}

function peerUrlOf(row: RosterMember, ports: PreparedVoter): string {
  return peerUrl({ advertisedHost: splitHostPort(row.address).host, peerPort: ports.peerPort });
}
