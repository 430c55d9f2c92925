import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { instancesPost, type InstancesPost, type InstanceType, type Operation } from '#api-types';
import { forbidden, internalContext, invalid, LocalMember, notFound, unavailable, type RequestContext } from '#kernel';
import { Peers, type PeerCaller } from '#ports';
import { Database, type Sql } from '#platform/database';
import type { OperationSource } from '#platform/http';
import { choosePlacement, ClusterMembers, type PlacementCandidate, type PlacementRequest } from '#features/cluster';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceCreation, PlacementRefused } from '../instance-creation.service.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { handleChecked } from './checked-handlers.js';

const place = z.object({ member: z.string().nullable(), group: z.string().nullable(), architectures: z.array(z.string()) });
const createRequest = z.object({
  project: z.string(), type: z.enum(['container', 'virtual-machine']).nullable(), place, body: instancesPost,
  /** Why it was none of the others, by their names; null where the member was named. */
  others: z.record(z.string(), z.string()).nullable(),
});

/** Null `refused`: done; otherwise why the choice no longer holds. */
type CreateReply = { readonly refused: string; readonly operation: null } | { readonly refused: null; readonly operation: Operation };

const noneSuitable = 'No suitable cluster member could be found';

/**
 * On which member an instance is made. Chosen here on what this member knows; the chosen one checks the choice again in the transaction that
 * reserves the rows (hazards D1), and when it no longer holds another is chosen. The operation is the chosen member's from the start, so that its
 * id and location say so.
 */
@Injectable()
export class InstancePlacement {
  /** Requests on their way to a member, not yet among its rows: several at once shall not all choose the same. */
  private readonly underWay = new Map<number, number>();

  constructor(
    private readonly creation: InstanceCreation,
    private readonly catalog: InstanceCatalog,
    private readonly neighbors: InstanceNeighbors,
    private readonly members: ClusterMembers,
    private readonly database: Database,
    private readonly peers: Peers,
    private readonly self: LocalMember,
  ) {
    handleChecked(peers, 'instances.create', createRequest, async (request, caller) => this.createHere(caller, request));
  }

  /** `target`: a member's name, `@group`, or empty. */
  async create(ctx: RequestContext, body: InstancesPost, type: InstanceType | null, target: string): Promise<OperationSource> {
    if (!this.self.clustered) {
      if (target !== '') throw invalid('Target only allowed when clustered');
      return this.creation.create(ctx, body, type, null);
    }
    this.neighbors.limits.assertMayTarget(ctx, target);
    if ((await this.database.barrier(ctx)) === 'stale') throw unavailable('The cluster has no quorum: nothing can be created');
    const place = this.placeOf(ctx, body, this.memberOfCopy(ctx, body) ?? target);
    const excluded = new Map<number, string>();
    for (;;) {
      const { member, others } = this.choose({ ...place, excluded });
      const { refused, operation } = await this.counted(member.id, () => this.createOn(ctx, member, { project: ctx.project, type, place, body, others: place.member === null ? others : null }));
      if (operation !== null) return { id: operation.id, api: () => operation };
      if (place.member !== null) throw forbidden('Cluster member is evacuated');
      excluded.set(member.id, refused);
    }
  }

  /**
   * The member for an instance that must leave another.
   * @returns null when there is none.
   */
  elsewhere(architecture: string, excluded: ReadonlyMap<number, string>): PlacementCandidate | null {
    return choosePlacement(this.members.candidates(), { member: null, group: null, architectures: [architecture], excluded }).member;
  }

  /** A copy that is to be refreshed is where it is. */
  private memberOfCopy(ctx: RequestContext, { name, source }: InstancesPost): string | null {
    return (source?.type === 'copy' || source?.type === 'migration') && source.refresh === true ? (this.catalog.find(ctx.project, name ?? '')?.row.location ?? null) : null;
  }

  private async createOn(ctx: RequestContext, member: PlacementCandidate, request: z.infer<typeof createRequest>): Promise<CreateReply> {
    if (member.id !== this.self.id) return this.peers.call<CreateReply>(member.id, 'instances.create', request, { requestor: ctx.requestor, timeoutMs: 60_000 });
    return this.attempt(ctx, request);
  }

  private async createHere(caller: PeerCaller, request: z.infer<typeof createRequest>): Promise<CreateReply> {
    const ctx = { ...internalContext(undefined, request.project), requestor: caller.requestor };
    // What the caller saw (a profile made a moment ago) must be here too.
    await this.database.barrier(ctx);
    return this.attempt(ctx, request);
  }

  private async attempt(ctx: RequestContext, { body, type, place, others }: z.infer<typeof createRequest>): Promise<CreateReply> {
    try {
      const operation = await this.creation.create(ctx, body, type, { refusal: (tx) => this.refusal(tx.sql, place), placement: { named: place.member !== null, ...(place.group === null ? {} : { group: place.group }), ...(others === null ? {} : { others }) } });
      return { refused: null, operation: operation.api() };
    } catch (error) {
      if (error instanceof PlacementRefused) return { refused: error.message, operation: null };
      throw error;
    }
  }

  /** Why this member will not do any more; null if it does. */
  private refusal(sql: Sql, place: PlacementRequest): string | null {
    const { member, reasons } = choosePlacement(this.members.candidates(sql).filter(({ id }) => id === this.self.id), place);
    return member === null ? (reasons[0]?.reason ?? 'is no member any more') : null;
  }

  private choose(request: PlacementRequest): { readonly member: PlacementCandidate; readonly others: Record<string, string> } {
    const candidates = this.members.candidates().map((candidate) => ({ ...candidate, instances: candidate.instances + (this.underWay.get(candidate.id) ?? 0) }));
    const { member, reasons } = choosePlacement(candidates, request);
    if (member !== null) return { member, others: Object.fromEntries(reasons.map((loss) => [loss.member, loss.reason])) };
    if (request.member === null) throw invalid(noneSuitable, { details: { reasons } });
    const named = candidates.find(({ name }) => name === request.member);
    throw named?.state === 'evacuated' ? forbidden('Cluster member is evacuated') : notFound('Cluster member not found');
  }

  private placeOf(ctx: RequestContext, body: InstancesPost, target: string): z.infer<typeof place> {
    const group = target.startsWith('@') ? target.slice(1) : null;
    if (group !== null && !this.groupExists(group)) throw invalid(`Cluster group "${group}" doesn't exist`);
    return { member: group === null && target !== '' ? target : null, group, architectures: this.architectures(ctx, body) };
  }

  private groupExists(name: string): boolean {
    return this.database.read.get('SELECT 1 FROM cluster_groups WHERE name = ?', name) !== undefined;
  }

  private architectures(ctx: RequestContext, { architecture, source }: InstancesPost): string[] {
    if (architecture) return [architecture];
    if (source?.type !== 'image' || (source.server ?? '') !== '') return [];
    try {
      const image = this.neighbors.localImage(ctx, ctx.project, source);
      return image?.architecture ? [image.architecture] : [];
    } catch {
      // Whoever makes the instance says what is wrong with its source.
      return [];
    }
  }
  private async counted<T>(memberId: number, work: () => Promise<T>): Promise<T> {
    const add = (count: number): void => void this.underWay.set(memberId, (this.underWay.get(memberId) ?? 0) + count);
    add(1);
    try {
      return await work();
    } finally {
      add(-1);
    }
  }
}
