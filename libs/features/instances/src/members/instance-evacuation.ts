import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { internal, internalContext, LocalMember, notFound, wrap, type RequestContext } from '#kernel';
import { Peers, type PeerCaller } from '#ports';
import { Database } from '#platform/database';
import { EvacuationRegistry, type EvacuationRun, type Evacuator } from '#features/cluster';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';
import { LiveMoves } from '../saved-states/live-moves.service.js';
import { handleChecked } from './checked-handlers.js';
import { InstanceDepartures } from './instance-departures.js';
import { InstanceFacts } from './instance-facts.js';
import { isBoundToMember } from './bound-devices.rules.js';
import { InstancePlacement } from './instance-placement.service.js';

const named = z.object({ id: z.int() });
const returning = z.object({ id: z.int(), to: z.int() });

/**
 * Empties a member and fills it again, one instance after the other, in the order they were made. Every step can be seen in rows (where an
 * instance is, where it belongs, whether it is to run), so that a restore after a crash in the middle finds all that is left to do.
 */
@Injectable()
export class InstanceEvacuation implements Evacuator {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly departures: InstanceDepartures,
    private readonly placement: InstancePlacement,
    private readonly power: InstancePower,
    private readonly facts: InstanceFacts,
    private readonly database: Database,
    private readonly peers: Peers,
    private readonly self: LocalMember,
    private readonly live: LiveMoves,
    registry: EvacuationRegistry,
  ) {
    registry.register(this);
    handleChecked(peers, 'instances.start-moved', named, (request, caller) => this.startMoved(request, caller));
    handleChecked(peers, 'instances.send-back', returning, (request, caller) => this.sendBack(request, caller));
  }

  async evacuate(ctx: RequestContext, run: EvacuationRun): Promise<void> {
    for (const { row } of this.catalog.local()) {
      if (run.signal.aborted) throw internal('The evacuation was interrupted');
      const instance = this.catalog.findById(row.id);
      if (instance?.row.state === 'Created' && this.catalog.isLocal(instance)) await this.evacuateOne(ctx, instance, run);
    }
  }

  async restore(ctx: RequestContext, run: EvacuationRun): Promise<void> {
    for (const instance of this.catalog.local()) {
      if (run.signal.aborted) throw internal('Restoring was interrupted');
      if (instance.row.state !== 'Created' || this.departures.isRunning(instance) || !this.departures.isToRun(instance)) continue;
      await this.startHere(ctx, instance, run);
    }
    for (const instance of this.departures.ofOrigin(this.self.name)) {
      if (run.signal.aborted) throw internal('Restoring was interrupted');
      await this.bringBack(ctx, instance, run);
    }
  }

  private async evacuateOne(ctx: RequestContext, instance: ExpandedInstance, run: EvacuationRun): Promise<void> {
    const mode = run.mode || instance.expandedConfig['cluster.evacuate'] || 'auto';
    const ran = this.departures.isRunning(instance);
    if (ran && mode !== 'live-migrate') {
      this.say(run, `Stopping ${called(instance)}`);
      await this.departures.stop(instance);
    }
    if (mode === 'stop' || (mode === 'auto' && isBoundToMember(instance.expandedDevices))) return;
    const target = this.placement.elsewhere(instance.row.architecture, new Map([[this.self.id, 'is being evacuated']]));
    // Nowhere to go: it waits here until the member is restored, as with LXD.
    if (target === null) return;
    this.say(run, `Migrating ${called(instance)} to "${target.name}"`);
    try {
      if (ran && mode === 'live-migrate') await this.live.suspend(ctx, instance);
      await this.departures.leave(ctx, instance, { to: target.id, origin: this.self.name });
    } catch (error) {
      throw wrap(error, 'Failed to migrate instance');
    }
    if (!ran) return;
    this.say(run, `Starting ${called(instance)}`);
    await this.peers.call(target.id, 'instances.start-moved', { id: instance.row.id }, { timeoutMs: 0, requestor: ctx.requestor });
  }

  private async bringBack(ctx: RequestContext, instance: ExpandedInstance, run: EvacuationRun): Promise<void> {
    const { id, memberId, location } = instance.row;
    if (memberId !== this.self.id) {
      this.say(run, `Migrating ${called(instance)} from "${location}"`);
      await this.facts.refresh([instance]);
      if (this.facts.of(instance).power !== 'Stopped') this.say(run, `Stopping ${called(instance)}`);
      await this.peers.call(memberId, 'instances.send-back', { id, to: this.self.id }, { timeoutMs: 0, requestor: ctx.requestor });
      await this.database.barrier(ctx);
    }
    const back = this.catalog.findById(id);
    if (back === undefined || !this.catalog.isLocal(back)) throw notFound(`Instance "${instance.row.name}" did not come back`);
    if (this.departures.isToRun(back) && !this.departures.isRunning(back)) await this.startHere(ctx, back, run);
    await this.departures.settle(ctx, back);
  }

  private async startHere(ctx: RequestContext, instance: ExpandedInstance, run: EvacuationRun): Promise<void> {
    this.say(run, `Starting ${called(instance)}`);
    await this.power.start(ctx, instance, { stateful: instance.row.stateful });
  }

  /** On the member that got it. */
  private async startMoved({ id }: z.infer<typeof named>, { requestor }: PeerCaller): Promise<void> {
    const ctx = { ...internalContext(), requestor };
    const instance = await this.mine(ctx, id);
    if (!this.departures.isRunning(instance)) await this.power.start(ctx, instance, { stateful: instance.row.stateful });
  }

  /** On the member that has it for now. */
  private async sendBack({ id, to }: z.infer<typeof returning>, { requestor }: PeerCaller): Promise<void> {
    const ctx = { ...internalContext(), requestor };
    const instance = await this.mine(ctx, id);
    if (this.departures.isRunning(instance)) await this.departures.stop(instance);
    await this.departures.leave(ctx, instance, { to, origin: null });
  }

  private async mine(ctx: RequestContext, id: number): Promise<ExpandedInstance> {
    await this.database.barrier(ctx);
    const instance = this.catalog.findById(id);
    if (instance === undefined || !this.catalog.isLocal(instance)) throw notFound('Instance not found');
    return instance;
  }

  private say(run: EvacuationRun, progress: string): void {
    run.update({ evacuation_progress: progress });
  }
}

function called({ row }: ExpandedInstance): string {
  return `"${row.name}" in project "${row.project}"`;
}
