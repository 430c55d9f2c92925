import { AppError, Deadline, messageOf, unavailable, type LocalMember, type Logger } from '#kernel';
import type { MemberLiveness, Peers } from '#ports';
import { memberOfVoter, voterName, voterNameOf } from '../process/etcd-arguments.rules.js';
import type { LocalVoter } from './local-voter.js';
import { nextVoterStep, type VotersView, type VoterStep } from './voter-choice.rules.js';
import { VoterChanges } from './voter-changes.js';
import type { ClusterPart } from './voter-duties.js';
import { withLock } from './voter-lock.js';
import { VoterMemory } from './voter-memory.js';
import { memberRequest, type MemberRequest } from './voter-messages.js';
import type { VoterRoster } from './voter-roster.js';
import { statusTimeoutMs, VoterSight } from './voter-sight.js';

export interface VoterManagerParts {
  readonly member: LocalMember;
  readonly voter: LocalVoter;
  readonly roster: VoterRoster;
  readonly peers: Peers;
  readonly liveness: MemberLiveness;
  readonly logger: Logger;
  /** How long a member is not asked again that failed to start a voter. Default a minute. */
  readonly failingMs?: number;
}

const periodMs = 2_000;
/** While something is under way: a learner that catches up. */
const busyPeriodMs = 200;
/** Offline has to be true for this long, seen by this member as leader: after a pause of its own all others look offline for a moment. */
const offlineForMs = 3_000;
const retireTimeoutMs = 60_000;

/**
 * Keeps the right members voting. Every member has one; the one whose etcd leads acts, under a lock, one step at a time, each decided afresh from what etcd,
 * the rows and the leases say (`voter-choice.rules.ts`). So nothing is lost when it is killed between two steps: the next leader goes on.
 */
export class VoterManager {
  private part: ClusterPart | undefined;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private again = false;
  private readonly unsubscribe: (() => void)[] = [];
  private readonly memory: VoterMemory;
  private readonly sight: VoterSight;
  private readonly changes: VoterChanges;
  private offlineSince: { etcdId: string; at: number } | undefined;

  constructor(private readonly parts: VoterManagerParts) {
    const { peers } = parts;
    this.memory = new VoterMemory(parts.failingMs);
    this.sight = new VoterSight(parts, this.memory);
    this.changes = new VoterChanges(parts, this.sight, this.memory);
    peers.handle('raft.retire-voter', (request) => this.retireHere(memberRequest.parse(request)));
    peers.handle('raft.replace-voter', (request) => this.replaceHere(memberRequest.parse(request)));
    peers.handle('raft.hand-over', () => this.handOver());
  }

  follow(part: ClusterPart): void {
    this.unfollow();
    this.part = part;
    this.memory.begin();
    const { liveness, roster } = this.parts;
    this.unsubscribe.push(liveness.onChange(() => this.look()), roster.onChange(() => this.look()));
    this.look();
  }

  unfollow(): void {
    this.part = undefined;
    clearTimeout(this.timer);
    for (const end of this.unsubscribe.splice(0)) end();
  }

  /** Looks now whether something is to be done. */
  look(): void {
    if (this.working !== undefined) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.working = this.round().finally(() => {
      this.working = undefined;
      if (this.part === undefined) return;
      if (this.again) {
        this.again = false;
        this.look();
      }
    });
  }

  /** Before a clean stop: another voter leads, so that nobody waits for an election. Resolves when it does, or when this member does not lead or is alone. */
  async handOver(): Promise<void> {
    const { part } = this;
    const endpoint = this.sight.ownEndpoint();
    if (part === undefined || endpoint === null) return;
    const { client } = part;
    const own = await client.status(endpoint, { timeoutMs: statusTimeoutMs });
    if (own.leader !== own.header.memberId) return;
    const heirs = (await client.members()).filter((other) => !other.isLearner && other.ID !== own.leader);
    const { liveness } = this.parts;
    const online = heirs.filter((heir) => liveness.isOnline(memberOfVoter(heir.name) ?? 0));
    for (const heir of online) if (await this.changes.moveLeader(part, heir.ID)) return;
  }

  /**
   * Before a member is removed from the cluster, online or not: it votes no more, and another does in its place if there is one. To be called on any
   * member, also the one in question.
   */
  async retire(memberId: number): Promise<void> {
    const { liveness, peers, member, logger } = this.parts;
    const deadline = new Deadline(retireTimeoutMs);
    for (let last: unknown = unavailable('No member leads the log'); ; await new Promise((resolve) => setTimeout(resolve, 200))) {
      if (deadline.passed) throw last;
      const leader = liveness.leaderId();
      if (leader === null) continue;
      try {
        const { retired } = leader === member.id ? await this.retireHere({ memberId }) : await peers.call<{ retired: boolean }>(leader, 'raft.retire-voter', { memberId }, { timeoutMs: retireTimeoutMs });
        if (retired) return;
        last = unavailable('The voter could not be taken out yet');
      } catch (error) {
        if (!AppError.is(error, 'unavailable') && !AppError.is(error, 'conflict')) throw error;
        last = error;
        logger.debug('Retiring a voter goes on with the next leader', { memberId, error: messageOf(error) });
      }
    }
  }

  /** On the leader. `retired: false` when another member leads now: the caller asks that one. */
  private async retireHere({ memberId }: MemberRequest): Promise<{ retired: boolean }> {
    this.memory.noteLeaving(memberId);
    for (const deadline = new Deadline(retireTimeoutMs); !deadline.passed;) {
      const { part } = this;
      if (part === undefined) throw unavailable('This member does not follow the cluster\'s log');
      const names = (await part.client.members()).map(({ name }) => name);
      const rows = this.parts.roster.members();
      if (!names.includes(voterNameOf(rows.find(({ id }) => id === memberId) ?? { id: memberId }))) return { retired: true };
      // The last member has nobody to leave it to; so be it.
      if (names.length === 1 && rows.filter(({ witness }) => !witness).length <= 1) return { retired: true };
      if (!(await this.sight.leads(part))) return { retired: false };
      await this.finishRound();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { retired: false };
  }

  /** On the leader: a voter that lost its data begins anew as a learner. */
  private async replaceHere({ memberId }: MemberRequest): Promise<void> {
    const { part } = this;
    if (part === undefined || !(await this.sight.leads(part))) throw unavailable('This member does not lead the log');
    const found = (await part.client.members()).find(({ name }) => name === voterName(memberId));
    if (found) await part.client.removeMember(found.ID);
    await this.changes.record([{ memberId, part: '', raft: null }]);
    this.look();
  }

  private async finishRound(): Promise<void> {
    this.look();
    await this.working;
  }

  private async round(): Promise<void> {
    const { part } = this;
    if (part === undefined) return;
    let pauseMs = periodMs;
    try {
      if (await this.sight.leads(part)) {
        if (await this.actOnce(part)) pauseMs = busyPeriodMs;
      } else {
        this.forget();
      }
    } catch (error) {
      this.parts.logger.debug('Looking after the voters failed', { error: messageOf(error) });
    }
    if (this.part !== part) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), pauseMs).unref();
  }

  /** What is known of an earlier time as leader may not hold any more. */
  private forget(): void {
    this.memory.forgetLearners();
    this.offlineSince = undefined;
  }

  /** True when something was done or is being waited for. */
  private async actOnce(part: ClusterPart): Promise<boolean> {
    // Without a lock first: there is nothing to do almost always.
    const seen = await this.sight.look(part);
    const wanted = nextVoterStep(seen.view);
    if (wanted === null && this.sight.differences(seen).length === 0) return false;
    if (wanted?.kind === 'wait') return true;
    const acted = await withLock(part.client, Buffer.from(`${part.incarnation}/lock/voters`), String(this.parts.member.id), async () => {
      await this.parts.roster.upToDate();
      const { view, etcd } = await this.sight.look(part);
      const step = nextVoterStep(view);
      if (step !== null && this.isPremature(step, view)) return true;
      if (step !== null) await this.changes.carryOut(part, step, etcd);
      await this.changes.record(this.sight.differences(await this.sight.look(part)));
      return true;
    });
    return acted ?? true;
  }

  /** Whether a removal rests on an offline member that was seen offline just now for the first time. */
  private isPremature(step: VoterStep, view: VotersView): boolean {
    const offline = step.kind === 'remove' && view.members.some((member) => member.id === step.memberId && !member.online && !member.leaving);
    if (!offline) {
      this.offlineSince = undefined;
      return false;
    }
    if (this.offlineSince?.etcdId !== step.etcdId) this.offlineSince = { etcdId: step.etcdId, at: performance.now() };
    return performance.now() - this.offlineSince.at < offlineForMs;
  }
}
