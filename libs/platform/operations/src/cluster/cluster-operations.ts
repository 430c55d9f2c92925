import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Optional } from '@nestjs/common';
import { AppError, LocalMember, memberOfOperation, notFound, type RequestContext } from '#kernel';
import { EventMesh } from '#platform/events';
import { isFinalStatus, operationStatusCodes } from '#api-types';
import { LocalPeers, Peers } from '#ports';
import { OperationRepository } from '../operation.repository.js';
import { OperationsOptions } from '../operations-options.js';
import { OperationsService } from '../operations.service.js';
import { givenUp } from './given-up.rules.js';
import { toPeerOperation, type PeerOperation } from './operation-peers.js';

/** How long a list waits for a member that does not answer. */
const listMs = 1000;
/** How long anything else does. */
const askMs = 4000;
/** Pause between two looks for a member that went away while somebody waits for its operation. */
const lookMs = 250;

/**
 * Operations of all members as any member shows them. Each lives on the one its id names (hazards D3): no look-up, and 404 at once when that one
 * is gone.
 */
@Injectable()
export class ClusterOperations {
  constructor(
    private readonly own: OperationsService,
    private readonly repository: OperationRepository,
    private readonly mesh: EventMesh,
    private readonly options: OperationsOptions,
    @Optional() private readonly peers: Peers = new LocalPeers(new LocalMember()),
  ) {}

  /** Of one project, or of all with null; this member's first. Members that cannot be reached are left out. */
  async list(project: string | null): Promise<PeerOperation[]> {
    const members = this.peers.others().filter(({ id }) => this.canReach(id));
    const theirs = await Promise.all(members.map(async ({ id }) => {
      try {
        return (await this.peers.call<{ operations: PeerOperation[] }>(id, 'operations.list', { project }, { timeoutMs: listMs })).operations;
      } catch (error) {
        if (AppError.is(error, 'unavailable')) return [];
        throw error;
      }
    }));
    return [...this.own.list(project).map(toPeerOperation), ...theirs.flat()];
  }

  /** @throws `not-found` also when its member is gone. */
  async get(id: string): Promise<PeerOperation> {
    const owner = this.ownerOf(id);
    return owner === null ? toPeerOperation(this.own.get(id)) : this.ask<PeerOperation>(owner, 'operations.get', { id });
  }

  async cancel(ctx: RequestContext, id: string): Promise<void> {
    const owner = this.ownerOf(id);
    if (owner === null) return this.own.cancel(ctx, id);
    await this.ask(owner, 'operations.cancel', { id }, ctx);
  }

  /** The operation when it has ended, or as it is after the time; `known` is how it was seen last. One whose member goes away has failed (`settled`). */
  async wait(ctx: RequestContext, known: PeerOperation, timeoutMs: number): Promise<PeerOperation> {
    const { id } = known.operation;
    const owner = this.ownerOf(id);
    if (owner === null) {
      const operation = this.own.get(id);
      await operation.wait(timeoutMs, ctx.signal);
      return toPeerOperation(operation);
    }
    const end = timeoutMs < 0 ? Infinity : performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, end - performance.now());
      let unknownThere = false;
      // A call to one that is silent would hang: the stream of events tells when it is back.
      if (this.mesh.connected(owner)) {
        try {
          return await this.peers.call<PeerOperation>(owner, 'operations.wait', { id, timeoutMs: left === Infinity ? -1 : left }, { timeoutMs: 0, signal: ctx.signal });
        } catch (error) {
          unknownThere = AppError.is(error, 'not-found');
          if (!unknownThere && !AppError.is(error, 'unavailable')) throw error;
        }
      }
      const ended = this.settled(owner, known, unknownThere);
      if (ended !== null) return ended;
      if (left <= 0 || ctx.signal.aborted) return known;
      await sleep(Math.min(lookMs, left), undefined, { signal: ctx.signal }).catch(() => undefined);
    }
  }

  /**
   * How an operation of another member ended that cannot be asked, or does not know it: as its row says; otherwise it was given up when that member is
   * there without it, or has been away for so long that it counts as offline. Null as long as it may go on.
   */
  settled(owner: number, last: PeerOperation, unknownThere: boolean): PeerOperation | null {
    const row = this.repository.outcome(last.operation.id);
    if (row !== undefined && isFinalStatus(row.status)) return { ...last, operation: { ...last.operation, ...row, status_code: operationStatusCodes[row.status], may_cancel: false } };
    const away = !this.isMember(owner) || !this.peers.isOnline(owner);
    // A row under way is taken up again by the member's next daemon.
    const lost = unknownThere && row === undefined;
    return away || lost ? givenUp(last, new Date()) : null;
  }

  /** The id of the member a request about an operation has to go to, null for this one. @throws `not-found` when that member is gone. */
  ownerOf(id: string): number | null {
    const owner = memberOfOperation(id);
    if (owner === null || owner === this.options.member.id || !this.isMember(owner)) return null;
    if (!this.canReach(owner)) throw notFound('Operation not found');
    return owner;
  }

  private async ask<Reply>(owner: number, name: string, request: object, ctx?: RequestContext): Promise<Reply> {
    try {
      return await this.peers.call<Reply>(owner, name, request, { timeoutMs: askMs, ...(ctx === undefined ? {} : { requestor: ctx.requestor, signal: ctx.signal }) });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw notFound('Operation not found', { cause: error });
      throw error;
    }
  }

  private isMember(id: number): boolean {
    return this.peers.others().some((member) => member.id === id);
  }

  private canReach(id: number): boolean {
    return !this.mesh.hasLost(id) && this.peers.isOnline(id);
  }
}
