import { AppError, Deadline, messageOf, unavailable, type LocalMember, type Logger } from '#kernel';
import type { MemberLiveness, Peers } from '#ports';
import type { EtcdMember } from '../etcd/etcd-messages.js';
import { memberOfVoter, peerUrl, splitHostPort, voterName } from '../process/etcd-arguments.rules.js';
import { clientEndpoint, type LocalVoter } from './local-voter.js';
import { nextVoterStep, partsOf, type MemberView, type VotersView, type VoterStep, type VoterView } from './voter-choice.rules.js';
import type { ClusterPart } from './voter-duties.js';
import { withLock } from './voter-lock.js';
import { memberRequest, type MemberRequest, type PreparedVoter } from './voter-messages.js';
import type { RosterChange, RosterMember, VoterAddress, VoterRoster } from './voter-roster.js';

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

/** How things are, and etcd's own list. */
interface Seen {
  readonly view: VotersView;
  readonly etcd: readonly EtcdMember[];
}

const periodMs = 2_000;
/** While something is under way: a learner that catches up. */
const busyPeriodMs = 200;
const defaultFailingMs = 60_000;
const startTimeoutMs = 20_000;
const statusTimeoutMs = 1_000;
/** Offline has to be true for this long, seen by this member as leader: after a pause of its own all others look offline for a moment. */
const offlineForMs = 3_000;
const retireTimeoutMs = 60_000;
/** A member whose removal was begun and given up may vote again after this long. */
const leavingMs = 300_000;

/**
 * Keeps the right members voting. Every member has one; the one whose etcd leads acts, under a lock, one step at a time, each decided afresh from what etcd,
 * the rows and the leases say (`voter-choice.rules.ts`). So nothing is lost when it is killed between two steps: the next leader goes on.
 */
export class VoterManager {
  private part: ClusterPart | undefined;
  private since = 0;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private again = false;
  private readonly unsubscribe: (() => void)[] = [];
  /** Since when members are leaving, for those that do. */
  private readonly leaving = new Map<number, number>();
  private readonly failedAt = new Map<number, number>();
  private readonly learnerSince = new Map<string, number>();
  private offlineSince: { etcdId: string; at: number } | undefined;

  constructor(private readonly parts: VoterManagerParts) {
    const { peers } = parts;
    peers.handle('raft.retire-voter', (request) => this.retireHere(memberRequest.parse(request)));
    peers.handle('raft.replace-voter', (request) => this.replaceHere(memberRequest.parse(request)));
    peers.handle('raft.hand-over', () => this.handOver());
  }

  follow(part: ClusterPart): void {
    this.unfollow();
    this.part = part;
    this.since = performance.now();
    const { liveness, roster } = this.parts;
    this.unsubscribe.push(liveness.onChange(() => this.look()), roster.onChange(() => this.look()));
    this.look();
  }

  unfollow(): void {
    this.part = undefined;
    clearTimeout(this.timer);
    for (const end of this.unsubscribe.splice(0)) end();
    for (const state of [this.leaving, this.failedAt, this.learnerSince]) state.clear();
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
    const endpoint = this.ownEndpoint();
    if (part === undefined || endpoint === null) return;
    const { client } = part;
    const own = await client.status(endpoint, { timeoutMs: statusTimeoutMs });
    if (own.leader !== own.header.memberId) return;
    const heirs = (await client.members()).filter((other) => !other.isLearner && other.ID !== own.leader);
    const { liveness } = this.parts;
    const online = heirs.filter((heir) => liveness.isOnline(memberOfVoter(heir.name) ?? 0));
    for (const heir of online) if (await this.moveLeader(part, heir.ID)) return;
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
    this.leaving.set(memberId, performance.now());
    for (const deadline = new Deadline(retireTimeoutMs); !deadline.passed;) {
      const { part } = this;
      if (part === undefined) throw unavailable('This member does not follow the cluster\'s log');
      const names = (await part.client.members()).map(({ name }) => name);
      if (!names.includes(voterName(memberId))) return { retired: true };
      // The last member has nobody to leave it to; so be it.
      if (names.length === 1 && this.parts.roster.members().length <= 1) return { retired: true };
      if (!(await this.leads(part))) return { retired: false };
      await this.finishRound();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { retired: false };
  }

  /** On the leader: a voter that lost its data begins anew as a learner. */
  private async replaceHere({ memberId }: MemberRequest): Promise<void> {
    const { part } = this;
    if (part === undefined || !(await this.leads(part))) throw unavailable('This member does not lead the log');
    const found = (await part.client.members()).find(({ name }) => name === voterName(memberId));
    if (found) await part.client.removeMember(found.ID);
    await this.record([{ memberId, part: '', raft: null }]);
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
      if (await this.leads(part)) {
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
    this.learnerSince.clear();
    this.offlineSince = undefined;
  }

  /** True when something was done or is being waited for. */
  private async actOnce(part: ClusterPart): Promise<boolean> {
    // Without a lock first: there is nothing to do almost always.
    const seen = await this.view(part);
    const wanted = nextVoterStep(seen.view);
    if (wanted === null && this.differences(seen).length === 0) return false;
    if (wanted?.kind === 'wait') return true;
    const acted = await withLock(part.client, Buffer.from(`${part.incarnation}/lock/voters`), String(this.parts.member.id), async () => {
      await this.parts.roster.upToDate();
      const { view, etcd } = await this.view(part);
      const step = nextVoterStep(view);
      if (step !== null && this.isPremature(step, view)) return true;
      if (step !== null) await this.carryOut(part, step, etcd);
      await this.record(this.differences(await this.view(part)));
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

  private async carryOut(part: ClusterPart, step: VoterStep, etcd: readonly EtcdMember[]): Promise<void> {
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

  private async add(part: ClusterPart, memberId: number): Promise<void> {
    const { client, incarnation } = part;
    const { peers } = this.parts;
    const { version } = await client.status(this.ownEndpoint()!, { timeoutMs: statusTimeoutMs });
    const ports = await peers.call<PreparedVoter>(memberId, 'raft.prepare-voter', { incarnation, version }).catch((error: unknown) => this.failed(memberId, error));
    if (ports === undefined) return;
    const { member, members } = await client.addMember([peerUrlOf(this.row(memberId), ports)], true);
    this.learnerSince.set(member.ID, performance.now());
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
    this.failedAt.set(memberId, performance.now());
    this.parts.logger.warn('A member could not start a voter', { memberId, error: messageOf(error) });
  }

  /** etcd refuses until the learner has nearly everything; then the next round tries again. */
  private async promote(part: ClusterPart, etcdId: string, memberId: number): Promise<void> {
    try {
      await part.client.promoteMember(etcdId);
      this.learnerSince.delete(etcdId);
      this.parts.logger.info('A member votes', { memberId });
    } catch (error) {
      if (!AppError.is(error, 'precondition')) throw error;
      this.parts.logger.debug('A learner is not promoted yet', { memberId, error: messageOf(error) });
    }
  }

  private async remove(part: ClusterPart, etcdId: string, memberId: number | null): Promise<void> {
    const { peers, liveness, logger } = this.parts;
    await part.client.removeMember(etcdId);
    if (this.learnerSince.delete(etcdId) && memberId !== null) this.failedAt.set(memberId, performance.now());
    if (memberId === null || !this.parts.roster.members().some(({ id }) => id === memberId)) return;
    await this.record([{ memberId, part: '', raft: null }]);
    if (!liveness.isOnline(memberId)) return;
    // Its etcd hears of it by itself; this only saves it from finding out late.
    await peers.call(memberId, 'raft.stop-voter', { incarnation: part.incarnation }).catch((error: unknown) => logger.debug('A former voter was not told', { memberId, error: messageOf(error) }));
  }

  private async moveLeader(part: ClusterPart, to: string): Promise<boolean> {
    const endpoint = this.ownEndpoint()!;
    try {
      await part.client.moveLeader(endpoint, to, { timeoutMs: 2_000 });
      return true;
    } catch (error) {
      // The answer is lost at times because the leader changes, and asked again the former leader refuses.
      const { leader, header } = await part.client.status(endpoint, { timeoutMs: statusTimeoutMs });
      if (leader !== header.memberId && leader !== '0') return true;
      this.parts.logger.debug('A voter did not take the lead', { etcdId: to, error: messageOf(error) });
      return false;
    }
  }

  /** Rows that say another thing than etcd does, as they should be. */
  private differences({ view, etcd }: Seen): RosterChange[] {
    const parts = partsOf(view);
    return this.parts.roster.members().flatMap((row) => {
      const wanted = parts.get(row.id) ?? '';
      const raft = wanted === 'voter' ? addressOf(etcd.find(({ name }) => name === voterName(row.id))) ?? row.raft : wanted === 'learner' ? row.raft : null;
      return row.part === wanted && JSON.stringify(row.raft) === JSON.stringify(raft) ? [] : [{ memberId: row.id, part: wanted, raft }];
    });
  }

  private async record(changes: readonly RosterChange[]): Promise<void> {
    if (changes.length > 0) await this.parts.roster.record(changes);
  }

  private async view(part: ClusterPart): Promise<Seen> {
    const { roster, member } = this.parts;
    const etcd = await part.client.members();
    const rows = roster.members();
    const voters = await Promise.all(etcd.map((voter) => this.voterView(part, voter, rows)));
    const settings = roster.settings();
    const members = rows.map((row) => this.memberView(row, voters.some((voter) => voter.memberId === row.id && !voter.learner), settings.offlineThresholdMs));
    return { etcd, view: { members, voters, leaderId: member.id, maxVoters: settings.maxVoters, maxStandby: settings.maxStandby } };
  }

  private memberView(row: RosterMember, votes: boolean, thresholdMs: number): MemberView {
    const { liveness, failingMs = defaultFailingMs } = this.parts;
    // Nothing is known yet of members when this one has only just begun to look.
    const unknown = liveness.lastSeenMs(row.id) === null && performance.now() - this.since < thresholdMs;
    return {
      id: row.id, online: liveness.isOnline(row.id) || (votes && unknown), failureDomain: row.failureDomain, part: row.part, evacuated: row.evacuated,
      leaving: performance.now() - (this.leaving.get(row.id) ?? -Infinity) < leavingMs, failing: !row.created || performance.now() - (this.failedAt.get(row.id) ?? -Infinity) < failingMs,
    };
  }

  private async voterView(part: ClusterPart, voter: EtcdMember, rows: readonly RosterMember[]): Promise<VoterView> {
    const row = rows.find((candidate) => voterName(candidate.id) === voter.name) ?? rows.find((candidate) => candidate.raft?.id === voter.ID);
    const view = { etcdId: voter.ID, memberId: row?.id ?? memberOfVoter(voter.name), learner: voter.isLearner };
    if (!voter.isLearner) return { ...view, answers: true, ageMs: 0 };
    const since = this.learnerSince.get(voter.ID) ?? performance.now();
    this.learnerSince.set(voter.ID, since);
    const answers = row?.raft ? await part.client.status(clientEndpoint(row.address, row.raft), { timeoutMs: statusTimeoutMs }).then(() => true, () => false) : false;
    return { ...view, answers, ageMs: performance.now() - since };
  }

  private async leads(part: ClusterPart): Promise<boolean> {
    const endpoint = this.ownEndpoint();
    if (endpoint === null) return false;
    const { leader, header } = await part.client.status(endpoint, { timeoutMs: statusTimeoutMs });
    return leader === header.memberId;
  }

  private ownEndpoint(): string | null {
    const node = this.parts.voter.running;
    return node === undefined ? null : clientEndpoint(`${splitHostPort(this.row(this.parts.member.id).address).host}:0`, node);
  }

  private row(memberId: number): RosterMember {
    const row = this.parts.roster.members().find(({ id }) => id === memberId);
    if (row === undefined) throw unavailable(`Member ${memberId} is not in the rows of the cluster`);
    return row;
  }
}

function peerUrlOf(row: RosterMember, ports: PreparedVoter): string {
  return peerUrl({ advertisedHost: splitHostPort(row.address).host, peerPort: ports.peerPort });
}

/** Where a voter that runs says it listens. */
function addressOf(voter: EtcdMember | undefined): VoterAddress | null {
  const [peer, client] = [voter?.peerURLs[0], voter?.clientURLs[0]];
  return voter === undefined || peer === undefined || client === undefined ? null : { peerPort: Number(new URL(peer).port), clientPort: Number(new URL(client).port), id: voter.ID };
}
