import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { ConfigMap, InstanceState } from '#api-types';
import { Logger, messageOf } from '#kernel';
import { Peers, type PowerState } from '#ports';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import type { InstanceReport, ReportsPosition, ReportsReply } from './local-reports.js';

/** How long a list waits for a member: without a majority, and with members that are cut off, it is still to take less than a second. */
const patienceMs = 700;
/** And for one that did not answer a moment ago. */
const shortPatienceMs = 150;
const distrustMs = 10_000;
const usagePatienceMs = 5000;

interface Member {
  position: ReportsPosition | null;
  readonly reports: Map<number, InstanceReport>;
  answers: boolean;
  distrustedUntilMs: number;
  lateAnswer: Promise<void> | undefined;
}

/** `Error` where the member of the instance does not answer. */
export type ShownPower = PowerState | 'Error';

export interface RemoteView {
  readonly power: ShownPower;
  readonly volatile: Readonly<ConfigMap>;
  readonly lastUsedAt: string;
}

/**
 * What the other members say about their instances. Asked at each list, all members at once, and only for what has changed since; a member known to be
 * offline is not asked, and one that does not answer delays nobody for more than a moment. What it said last is kept.
 */
@Injectable()
export class RemoteInstances {
  private readonly members = new Map<number, Member>();

  constructor(
    private readonly peers: Peers,
    private readonly logger: Logger,
  ) {}

  /** Call before `view` of instances of these members. */
  async refresh(memberIds: Iterable<number>): Promise<void> {
    await Promise.all([...new Set(memberIds)].map((id) => this.ask(id)));
  }

  /** As of the last refresh. */
  view({ row }: ExpandedInstance): RemoteView {
    const member = this.members.get(row.memberId);
    const report = member?.reports.get(row.id);
    const power = member?.answers === true ? (report?.power ?? 'Stopped') : 'Error';
    return { power, volatile: report?.volatile ?? {}, lastUsedAt: report?.lastUsedAt ?? '' };
  }

  /** State of instances that run, from their members; those of members that do not answer are left out. */
  async states(instances: readonly ExpandedInstance[]): Promise<Map<ExpandedInstance, InstanceState>> {
    const found = new Map<ExpandedInstance, InstanceState>();
    const byMember = Map.groupBy(instances, ({ row }) => row.memberId);
    await Promise.all([...byMember].map(async ([memberId, ofMember]) => {
      try {
        const { states } = await this.peers.call<{ states: [number, InstanceState][] }>(
          memberId, 'instances.describe-usage', { ids: ofMember.map(({ row }) => row.id) }, { timeoutMs: usagePatienceMs });
        const byId = new Map(states);
        for (const instance of ofMember) {
          const state = byId.get(instance.row.id);
          if (state !== undefined) found.set(instance, state);
        }
      } catch (error) {
        this.failed(memberId, this.member(memberId), error);
      }
    }));
    return found;
  }

  /** Rows may have become others: nothing known by id means anything any more. */
  forgetAll(): void {
    this.members.clear();
  }

  forget(id: number): void {
    for (const member of this.members.values()) member.reports.delete(id);
  }

  private async ask(memberId: number): Promise<void> {
    const member = this.member(memberId);
    if (!this.peers.isOnline(memberId)) {
      member.answers = false;
      return;
    }
    if (performance.now() >= member.distrustedUntilMs) return this.askNow(memberId, member);
    // The question goes on: an answer that comes too late for this list serves the next one.
    member.lateAnswer ??= this.askNow(memberId, member).finally(() => { member.lateAnswer = undefined; });
    await Promise.race([member.lateAnswer, sleep(shortPatienceMs, undefined, { ref: false })]);
  }

  private async askNow(memberId: number, member: Member): Promise<void> {
    try {
      this.take(member, await this.peers.call<ReportsReply>(memberId, 'instances.describe', { since: member.position }, { timeoutMs: patienceMs }));
    } catch (error) {
      this.failed(memberId, member, error);
    }
  }

  private take(member: Member, { generation, version, full, reports }: ReportsReply): void {
    member.answers = true;
    member.distrustedUntilMs = 0;
    // Two lists at once ask from the same place; the answer that says less comes to nothing.
    const { position } = member;
    if (position?.generation === generation ? version < position.version : !full) return;
    if (full) member.reports.clear();
    for (const report of reports) member.reports.set(report.id, report);
    member.position = { generation, version };
  }

  private failed(memberId: number, member: Member, error: unknown): void {
    if (member.answers) this.logger.warn('A member does not say how its instances are', { member: memberId, error: messageOf(error) });
    member.answers = false;
    member.distrustedUntilMs = performance.now() + distrustMs;
  }

  private member(id: number): Member {
    const known = this.members.get(id);
    if (known !== undefined) return known;
    const member: Member = { position: null, reports: new Map(), answers: false, distrustedUntilMs: 0, lateAnswer: undefined };
    this.members.set(id, member);
    return member;
  }
}
