import { Injectable, Optional, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember, Logger, messageOf, preciseTimestamp } from '#kernel';
import { encodeJson, isFinalStatus, type EventApi, type Operation } from '#api-types';
import { EventBus, EventMesh } from '#platform/events';
import { LocalPeers, Peers } from '#ports';
import { ClusterOperations } from './cluster-operations.js';
import type { PeerOperation } from './operation-peers.js';

/** How often it is looked whether a member that went away counts as offline. */
const lookMs = 500;
const listMs = 2000;

/**
 * Tells listeners of `operation` events about operations whose member went away in the middle: clients that wait for the event which ends their
 * operation would wait for ever. Keeps what other members have under way, and only while somebody here listens; owns no rows.
 */
@Injectable()
export class RemoteOperationWatch implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly running = new Map<string, { readonly memberId: number; readonly last: PeerOperation }>();
  /** Ended while a list was on its way that may still show them. */
  private readonly endedMeanwhile = new Set<string>();
  private lists = 0;
  private timer: NodeJS.Timeout | undefined;
  private stop = (): void => undefined;

  constructor(
    private readonly operations: ClusterOperations,
    private readonly mesh: EventMesh,
    private readonly bus: EventBus,
    private readonly logger: Logger,
    @Optional() private readonly peers: Peers = new LocalPeers(new LocalMember()),
  ) {}

  onApplicationBootstrap(): void {
    this.stop = this.mesh.listen({
      event: (memberId, { type, project, metadata }) => {
        if (type === 'operation') this.note(memberId, { project: project ?? 'default', operation: metadata as Operation });
      },
      subscribed: (memberId, types) => {
        if (types.includes('operation')) void this.compare(memberId);
        else this.forget(memberId);
      },
      lost: () => this.look(),
    });
  }

  onApplicationShutdown(): void {
    this.stop();
    clearTimeout(this.timer);
  }

  private note(memberId: number, last: PeerOperation): void {
    const { id, status } = last.operation;
    if (!isFinalStatus(status)) {
      this.running.set(id, { memberId, last });
      return;
    }
    this.running.delete(id);
    if (this.lists > 0) this.endedMeanwhile.add(id);
  }

  /** What was under way before and is not known there any more has ended without a word. */
  private async compare(memberId: number): Promise<void> {
    const before = this.of(memberId);
    this.lists++;
    try {
      const { operations } = await this.peers.call<{ operations: PeerOperation[] }>(memberId, 'operations.list', { project: null }, { timeoutMs: listMs });
      const listed = new Set(operations.map(({ operation }) => operation.id));
      for (const last of before) if (!listed.has(last.operation.id)) this.settle(memberId, last, true);
      for (const one of operations) if (!this.endedMeanwhile.has(one.operation.id)) this.note(memberId, one);
    } catch (error) {
      this.logger.debug('Cannot list the operations of a member', { member: memberId, error: messageOf(error) });
    } finally {
      this.lists--;
      if (this.lists === 0) this.endedMeanwhile.clear();
    }
  }

  private look(): void {
    clearTimeout(this.timer);
    const unreachable = [...this.running.values()].filter(({ memberId }) => !this.mesh.connected(memberId));
    for (const { memberId, last } of unreachable) this.settle(memberId, last, false);
    if (unreachable.length > 0) this.timer = setTimeout(() => this.look(), lookMs).unref();
  }

  private settle(memberId: number, last: PeerOperation, unknownThere: boolean): void {
    const ended = this.operations.settled(memberId, last, unknownThere);
    if (ended === null || !this.running.delete(last.operation.id)) return;
    const { operation, project } = ended;
    const event: EventApi = { type: 'operation', timestamp: preciseTimestamp(), metadata: operation, location: operation.location, project };
    this.bus.relay({ type: 'operation', project, metadata: operation, json: encodeJson(event) });
  }

  private of(memberId: number): PeerOperation[] {
    return [...this.running.values()].filter((entry) => entry.memberId === memberId).map(({ last }) => last);
  }

  private forget(memberId: number): void {
    for (const last of this.of(memberId)) this.running.delete(last.operation.id);
  }
}
