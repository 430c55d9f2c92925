import { Injectable } from '@nestjs/common';
import { AppError, conflict, internal, internalContext, type RequestContext } from '#kernel';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceHostPower } from './instance-host-power.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { InstanceLocks } from './instance-locks.js';
import { InstanceLeaving } from './moves/instance-leaving.js';
import { InstanceRemoval } from './instance-removal.service.js';
import { hostName } from './instance-urls.js';
import { StartPermits } from './members/start-permits.js';
import { PowerStates } from './power-states.js';
import { SavedStates } from './saved-states/saved-states.service.js';
import { StartupSnapshots } from './snapshots/startup-snapshots.js';

export interface StartOptions {
  /** Go on from the state it was stopped with; otherwise that is dropped. */
  readonly stateful?: boolean | undefined;
  /** Also without a quorum. */
  readonly force?: boolean;
}

export interface StopOptions {
  readonly force: boolean;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
}

/**
 * Starting, stopping, freezing, as asked for. Member operations: they need this member and its agent, no quorum, and are remembered
 * member-locally (hazards D2). One at a time per instance; a forced stop is never refused. Errors carry LXD's words, since clients
 * print them.
 */
@Injectable()
export class InstancePower {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly host: InstanceHostPower,
    private readonly locks: InstanceLocks,
    private readonly events: InstanceLifecycleEvents,
    private readonly removal: InstanceRemoval,
    private readonly leaving: InstanceLeaving,
    private readonly permits: StartPermits,
    private readonly snapshots: StartupSnapshots,
    private readonly saved: SavedStates,
  ) {}

  isRunning(instance: ExpandedInstance): boolean {
    return this.host.isRunning(instance);
  }

  /** @throws `unavailable` without a quorum for one that did not run here, unless `force`. */
  async start(ctx: RequestContext, instance: ExpandedInstance, { stateful = false, force = false }: StartOptions = {}): Promise<void> {
    await this.comingUp(instance);
    if (this.isRunning(instance)) throw conflict('The instance is already running');
    this.leaving.refuse(instance.row);
    if (stateful && !instance.row.stateful) throw internal('Container has no existing state to restore');
    const lock = this.locks.acquire(instance.row.id, 'start');
    try {
      await this.permits.assertStartable(ctx, instance, force);
      await this.snapshots.take(instance);
      if (!stateful && instance.row.stateful) await this.saved.forget(ctx, instance);
      await this.host.start(instance.row.id, { restoreState: stateful });
      if (stateful) await this.saved.forget(ctx, instance);
      this.events.send('started', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
  }

  async stop(ctx: RequestContext, instance: ExpandedInstance, options: StopOptions): Promise<void> {
    if (options.force && this.locks.holder(instance.row.id)?.action === 'restart') await this.comingUp(instance);
    this.assertUp(instance, 'stop');
    if (options.force) return this.stopByForce(ctx, instance);
    const lock = this.locks.acquireOrJoin(instance.row.id, 'stop', ['stop']);
    try {
      await this.host.shutDown(instance, options.timeoutMs);
      this.host.rememberStopped(instance);
      this.permits.noteStop(instance);
      this.events.send('shutdown', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
    if (lock.overridden !== 'restart') await this.removeEphemeral(instance);
  }

  /** What runs is written to its volume, and goes on from there with the next start. */
  async stopWithState(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.writeDown(ctx, instance, () => this.host.rememberStopped(instance));
    await this.removeEphemeral(instance);
  }

  /**
   * The same of one that is to go on at once, here or elsewhere: its stop is no end, and after a crash it is started with its member. `InstanceHostEvents`
   * must overlook it until then.
   */
  async suspend(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.writeDown(ctx, instance, () => this.host.rememberRunning(instance));
  }

  async restart(ctx: RequestContext, instance: ExpandedInstance, options: StopOptions): Promise<void> {
    this.assertUp(instance, 'restart');
    if (!options.force && this.states.get(hostName(instance.row)).power === 'Frozen') throw internal('Instance is not running');
    const pending = this.locks.holder(instance.row.id);
    // A forced restart does not wait for a clean stop that may never end.
    if (options.force && pending !== undefined && (pending.action === 'stop' || pending.action === 'restart')) {
      pending.overridden = 'restart';
      await this.host.kill(instance);
      await pending.done;
    }
    const lock = this.locks.acquire(instance.row.id, 'restart');
    try {
      if (this.isRunning(instance)) await (options.force ? this.host.kill(instance) : this.host.shutDown(instance, options.timeoutMs));
      if (lock.overridden === 'stop') throw internal('shutting down the container failed');
      if (lock.overridden === 'restart') return;
      await this.snapshots.take(instance);
      await this.host.start(instance.row.id);
      this.events.send('restarted', instance.row, { requestor: ctx.requestor });
    } catch (error) {
      if (!this.isRunning(instance)) this.host.rememberStopped(instance);
      throw error;
    } finally {
      lock.release();
    }
  }

  async freeze(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.comingUp(instance);
    const state = this.states.get(hostName(instance.row)).power;
    if (state === 'Stopped') throw conflict("The container isn't running");
    if (state === 'Frozen') throw conflict('The container is already frozen');
    await this.host.freeze(instance);
    this.events.send('paused', instance.row, { requestor: ctx.requestor });
  }

  async unfreeze(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.comingUp(instance);
    const state = this.states.get(hostName(instance.row)).power;
    if (state === 'Stopped') throw conflict("The container isn't running");
    if (state === 'Running') throw conflict('The container is already running');
    await this.host.unfreeze(instance);
    this.events.send('resumed', instance.row, { requestor: ctx.requestor });
  }

  /** An ephemeral instance goes with its end. */
  async removeEphemeral({ row }: ExpandedInstance): Promise<void> {
    if (!row.ephemeral || this.catalog.findById(row.id) === undefined) return;
    try {
      const operation = await this.removal.schedule(internalContext(undefined, row.project), row.project, row.name);
      await operation.done;
    } catch (error) {
      // Without a quorum no row can go: the reconciler removes what has ended and should not be there.
      if (!AppError.is(error, 'unavailable')) throw error;
    }
  }

  /** Waits for a start that is under way: like LXD, who asks meanwhile gets the answer of after it. */
  private async comingUp(instance: ExpandedInstance): Promise<void> {
    while (this.locks.startsUp(instance.row.id) && !this.isRunning(instance)) await this.locks.holder(instance.row.id)?.done;
  }

  /** @throws `conflict` for one that does not run, naming a start that is under way. */
  private assertUp(instance: ExpandedInstance, action: 'stop' | 'restart'): void {
    if (this.isRunning(instance)) return;
    if (this.locks.startsUp(instance.row.id)) this.locks.acquire(instance.row.id, action);
    throw conflict('The instance is already stopped');
  }

  private async writeDown(ctx: RequestContext, instance: ExpandedInstance, remember: () => void): Promise<void> {
    this.assertUp(instance, 'stop');
    const lock = this.locks.acquire(instance.row.id, 'stop');
    try {
      await this.saved.write(instance, { stop: true });
      this.host.noteEnd(instance);
      remember();
      await this.saved.note(ctx, instance);
      this.permits.noteStop(instance);
      this.events.send('stopped', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
  }

  private async stopByForce(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    const pending = this.locks.holder(instance.row.id);
    const joins = pending !== undefined && (pending.action === 'stop' || pending.action === 'restart');
    const lock = joins ? pending.join() : this.locks.acquire(instance.row.id, 'stop');
    if (joins) lock.overridden = 'stop';
    try {
      await this.host.kill(instance);
      this.host.rememberStopped(instance);
      this.permits.noteStop(instance);
      this.events.send('stopped', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
    await this.removeEphemeral(instance);
  }
}
