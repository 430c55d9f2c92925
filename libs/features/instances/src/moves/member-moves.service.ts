import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError, conflict, internal, internalContext, LocalMember, notFound, withProject, wrap, type RequestContext } from '#kernel';
import { Peers, type PeerCaller } from '#ports';
import { Database, type Tx } from '#platform/database';
import { OperationsService } from '#platform/operations';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from '../data/instance.repository.js';
import { InstanceDisks } from '../instance-disks.js';
import { InstanceMoves, type MoveWatch } from '../instance-moves.js';
import { InstanceSpecs } from '../instance-specs.js';
import { instanceConflictKey, instanceResources } from '../instance-urls.js';
import { handleChecked } from '../members/checked-handlers.js';
import { ArrivingInstance } from './arriving-instance.js';
import { moveInstance } from './move-instance.operation.js';
import { formerVolume, movedVolume, type MoveInstanceParams } from './move-operation.params.js';

const moveRequest = z.object({
  id: z.int(), project: z.string(), name: z.string(), type: z.enum(['container', 'virtual-machine']), pool: z.string(), from: z.int(), epoch: z.int(),
  snapshots: z.array(z.string()), size: z.string(), to: z.object({ project: z.string(), name: z.string(), pool: z.string() }).optional(),
});

/** `err` is empty where it went well. */
interface MoveReply {
  readonly err: string;
}

const pollMs = 20;

/** Moves between members. The target carries a move out; who asks waits for what the rows say, whatever happens to the connection. */
@Injectable()
export class MemberMoves extends InstanceMoves {
  constructor(
    private readonly peers: Peers,
    private readonly self: LocalMember,
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly repository: InstanceRepository,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
    private readonly arriving: ArrivingInstance,
    private readonly catalog: InstanceCatalog,
    private readonly disks: InstanceDisks,
  ) {
    super();
  }

  register(): void {
    handleChecked(this.peers, 'instances.move', moveRequest, (request, caller) => this.moveHere(request, caller));
  }

  override async move(asked: RequestContext, instance: ExpandedInstance, targetMember: number, watch: MoveWatch = {}): Promise<void> {
    const { row } = instance;
    // The request that asked is answered long before the move is over, and its signal is not the move's.
    const ctx: RequestContext = { ...internalContext(watch.signal, asked.project), requestor: asked.requestor };
    const { pool, size } = this.specs.rootOf(instance);
    const volume = this.specs.volumeKey(instance);
    const request: MoveInstanceParams = {
      id: row.id, project: row.project, name: row.name, type: row.type, pool, from: this.self.id, epoch: row.placementEpoch,
      snapshots: watch.alone ? [] : this.snapshots.names(volume), size, ...(watch.to === undefined && !watch.alone ? {} : { to: watch.to ?? { project: row.project, name: row.name, pool } }),
    };
    let reply: MoveReply | undefined;
    try {
      reply = await this.peers.call<MoveReply>(targetMember, 'instances.move', request, { timeoutMs: 0, requestor: ctx.requestor, ...(watch.signal ? { signal: watch.signal } : {}) });
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      // What the other member did is unknown; what it wrote is not.
      await this.until(ctx, () => this.operations.holder(instanceConflictKey(row))?.kind !== moveInstance.kind);
      if (this.repository.findById(row.id)?.memberId === this.self.id) throw error;
    }
    if (reply !== undefined && reply.err !== '') {
      // Its end is seen here, too, so that whoever asked may start it again.
      await this.until(ctx, () => this.operations.holder(instanceConflictKey(row))?.kind !== moveInstance.kind);
      throw internal(reply.err);
    }
    // It is there. What is left here goes by an operation of this member's own; its row is the last to go.
    await this.until(ctx, () => this.repository.findById(row.id)?.memberId !== this.self.id && this.volumes.find(volume) === undefined);
  }

  private async moveHere(request: MoveInstanceParams, caller: PeerCaller): Promise<MoveReply> {
    const ctx = { ...withProject(internalContext(), request.project), requestor: caller.requestor };
    await this.database.barrier(ctx);
    if (request.from !== caller.memberId) throw conflict('Only the member that has an instance can give it away');
    const operation = await this.operations.schedule(ctx, moveInstance.kind, request, { resources: instanceResources(request), reserve: (tx) => this.reserve(tx, request) });
    const { status, err } = await operation.wait(-1);
    return { err: status === 'Success' ? '' : err || 'The move was cancelled' };
  }

  private reserve(tx: Tx, request: MoveInstanceParams): void {
    const row = this.repository.findById(request.id, tx.sql);
    if (row === undefined) throw notFound('Instance not found');
    if (row.memberId !== request.from || row.placementEpoch !== request.epoch || row.state !== 'Created') throw conflict('Instance has changed its place');
    this.checkDisks(tx, row);
    if (request.to !== undefined) return this.arriving.reserve(tx, row, request, request.to, request.snapshots, request.from);
    this.volumes.reserveInstanceVolume(tx, movedVolume(request));
    this.snapshots.copyRows(tx, { ...formerVolume(request), memberId: request.from }, movedVolume(request));
  }

  /** Custom volumes lie on one member, so an instance that has one stays with it. */
  private checkDisks(tx: Tx, row: InstanceRow): void {
    const { expandedDevices } = this.catalog.expand(row, tx.sql);
    try {
      this.disks.checkAdded(tx.sql, { ...row, memberId: this.self.id }, {}, expandedDevices);
    } catch (error) {
      throw wrap(error, 'Copy instance operation failed: Failed instance creation: Failed creating instance record: Failed initialising instance');
    }
  }

  private async until(ctx: RequestContext, over: () => boolean): Promise<void> {
    for (;;) {
      // What others wrote is looked for; without a majority what has arrived must do.
      await this.database.barrier(ctx).catch(() => undefined);
      if (over()) return;
      ctx.signal.throwIfAborted();
      await sleep(pollMs, undefined, { ref: false });
    }
  }
}
