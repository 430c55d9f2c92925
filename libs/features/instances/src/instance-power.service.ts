import { Injectable } from '@nestjs/common';
import { AppError, conflict, internal, internalContext, invalid, Logger, messageOf, projectPrefixed, type RequestContext } from '#kernel';
import { HostInfo, InstanceDriver, type InstanceEvent } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { InstanceLocks, type InstanceLock } from './instance-locks.js';
import { InstanceRemoval } from './instance-removal.service.js';
import { InstanceSpecs } from './instance-specs.js';
import { PowerStates } from './power-states.js';

export interface StopOptions {
  readonly force: boolean;
  /** 0 and below wait for ever. */
  readonly timeoutMs: number;
}

const power = 'volatile.last_state.power';

/**
 * Starting, stopping, freezing. Member operations: they need this member and its agent, no quorum, and are remembered member-locally
 * (hazards D2). Errors carry LXD's words, since clients print them.
 */
@Injectable()
export class InstancePower {
  private goingDown = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly locks: InstanceLocks,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly host: HostInfo,
    private readonly events: InstanceLifecycleEvents,
    private readonly removal: InstanceRemoval,
    private readonly logger: Logger,
  ) {}

  /** Follows what instances do by themselves. */
  followHost(): void {
    this.states.onEvent((event) => {
      void this.onHostEvent(event).catch((error: unknown) => this.logger.error('Failed handling an event of an instance', { event, error: messageOf(error) }));
    });
    this.states.onResync(() => this.settleStopped());
  }

  async start(ctx: RequestContext, instance: ExpandedInstance, stateful = false): Promise<void> {
    if (this.isRunning(instance)) throw conflict('The instance is already running');
    if (stateful) throw internal('Container has no existing state to restore');
    const lock = this.locks.acquire(instance.row.id, 'start');
    try {
      await this.bringUp(instance.row.id);
      this.events.send('started', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
  }

  async stop(ctx: RequestContext, instance: ExpandedInstance, options: StopOptions): Promise<void> {
    if (!this.isRunning(instance)) throw conflict('The instance is already stopped');
    if (options.force) return this.stopByForce(ctx, instance);
    const lock = this.locks.acquireOrJoin(instance.row.id, 'stop', ['stop']);
    try {
      await this.shutDown(instance, options.timeoutMs);
      this.rememberStopped(instance);
      this.events.send('shutdown', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
    await this.removeEphemeral(instance);
  }

  async restart(ctx: RequestContext, instance: ExpandedInstance, options: StopOptions): Promise<void> {
    if (!this.isRunning(instance)) throw conflict('The instance is already stopped');
    const pending = this.locks.holder(instance.row.id);
    // A forced restart does not wait for a clean stop that may never end.
    if (options.force && pending !== undefined && (pending.action === 'stop' || pending.action === 'restart')) {
      pending.overridden = true;
      await this.kill(instance);
      await pending.done;
    }
    const lock = this.locks.acquire(instance.row.id, 'restart');
    try {
      if (this.isRunning(instance)) await (options.force ? this.kill(instance) : this.shutDown(instance, options.timeoutMs));
      if (lock.overridden) throw internal('shutting down the container failed');
      await this.bringUp(instance.row.id);
      this.events.send('restarted', instance.row, { requestor: ctx.requestor });
    } catch (error) {
      if (!this.isRunning(instance)) this.rememberStopped(instance);
      throw error;
    } finally {
      lock.release();
    }
  }

  async freeze(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    const state = this.states.get(nameOf(instance)).power;
    if (state === 'Stopped') throw conflict("The container isn't running");
    if (state === 'Frozen') throw conflict('The container is already frozen');
    await this.driver.freezeInstance(nameOf(instance));
    this.states.set(nameOf(instance), 'Frozen');
    this.events.send('paused', instance.row, { requestor: ctx.requestor });
  }

  async unfreeze(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    const state = this.states.get(nameOf(instance)).power;
    if (state === 'Stopped') throw conflict("The container isn't running");
    if (state === 'Running') throw conflict('The container is already running');
    await this.driver.unfreezeInstance(nameOf(instance));
    this.states.set(nameOf(instance), 'Running');
    this.events.send('resumed', instance.row, { requestor: ctx.requestor });
  }

  /** Stops it for the host's own shutdown: what runs is started again with the daemon, ephemeral or not. */
  async stopForHost(instance: ExpandedInstance, timeoutMs: number): Promise<void> {
    this.goingDown = true;
    try {
      await this.driver.stopInstance({ projectName: nameOf(instance), clean: true, timeoutMs });
    } catch (error) {
      this.logger.warn('Failed shutting down an instance, forcing it', { instance: nameOf(instance), error: messageOf(error) });
      await this.driver.stopInstance({ projectName: nameOf(instance), clean: false, timeoutMs: 0 });
    }
    this.states.set(nameOf(instance), 'Stopped', 0);
    this.member.merge(instance.row.id, { [power]: 'RUNNING' });
  }

  isRunning(instance: ExpandedInstance): boolean {
    return this.states.isRunning(nameOf(instance));
  }

  private async stopByForce(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    const { id } = instance.row;
    const pending = this.locks.holder(id);
    const joined = pending !== undefined && (pending.action === 'stop' || pending.action === 'restart') ? pending.join() : undefined;
    const lock: InstanceLock = joined ?? this.locks.acquire(id, 'stop');
    if (joined) lock.overridden = true;
    try {
      await this.kill(instance);
      this.rememberStopped(instance);
      this.events.send('stopped', instance.row, { requestor: ctx.requestor });
    } finally {
      lock.release();
    }
    await this.removeEphemeral(instance);
  }

  private async bringUp(id: number): Promise<void> {
    // Read again: an update may have been committed while the lock was waited for.
    const instance = this.catalog.findById(id);
    if (instance === undefined) throw internal('Instance not found');
    const config = this.catalog.fullConfig(instance);
    const modules = (config['linux.kernel_modules'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
    if (modules.length > 0) await this.host.loadKernelModules(modules);
    const started = await this.driver.startInstance(this.specs.build(instance));
    this.states.set(nameOf(instance), 'Running', started.pid);
    this.member.merge(id, { 'volatile.apply_template': '', ...started.volatile, [power]: 'RUNNING' }, new Date().toISOString());
  }

  private async shutDown(instance: ExpandedInstance, timeoutMs: number): Promise<void> {
    const projectName = nameOf(instance);
    if (this.states.get(projectName).power === 'Frozen') {
      await this.driver.unfreezeInstance(projectName);
      this.states.set(projectName, 'Running');
    }
    try {
      await this.driver.stopInstance({ projectName, clean: true, timeoutMs: Math.max(0, timeoutMs) });
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      throw internal(`Failed shutting down instance, status is "${this.states.get(projectName).power}": shutting down the container failed`, { cause: error });
    }
    this.states.set(projectName, 'Stopped', 0);
  }

  private async kill(instance: ExpandedInstance): Promise<void> {
    await this.driver.stopInstance({ projectName: nameOf(instance), clean: false, timeoutMs: 0 });
    this.states.set(nameOf(instance), 'Stopped', 0);
  }

  private rememberStopped({ row: { id } }: ExpandedInstance): void {
    const links = Object.keys(this.member.get(id).volatile).filter((key) => key.endsWith('.host_name'));
    this.member.merge(id, { ...Object.fromEntries(links.map((key) => [key, ''])), [power]: 'STOPPED' });
  }

  /** An ephemeral instance goes with its end. */
  private async removeEphemeral({ row }: ExpandedInstance): Promise<void> {
    if (!row.ephemeral || this.goingDown || this.catalog.findById(row.id) === undefined) return;
    const operation = await this.removal.schedule({ ...internalContext(), project: row.project }, row.project, row.name);
    await operation.done;
  }

  private async onHostEvent(event: InstanceEvent): Promise<void> {
    if (event.event === 'started' || this.goingDown) return;
    const instance = this.findByHostName(event.projectName);
    if (instance === undefined || this.isRunning(instance)) return;
    // Work under way here knows by itself.
    if (this.locks.holder(instance.row.id) !== undefined) return;
    if (event.event === 'rebooting') await this.afterReboot(instance);
    else await this.afterStop(instance);
  }

  private async afterStop(instance: ExpandedInstance): Promise<void> {
    if (this.member.get(instance.row.id).volatile[power] !== 'RUNNING') return;
    this.rememberStopped(instance);
    this.events.send('shutdown', instance.row);
    await this.removeEphemeral(instance);
  }

  private async afterReboot(instance: ExpandedInstance): Promise<void> {
    const lock = this.locks.acquire(instance.row.id, 'restart');
    try {
      this.events.send('shutdown', instance.row);
      await this.bringUp(instance.row.id);
      this.events.send('restarted', instance.row);
    } catch (error) {
      this.rememberStopped(instance);
      throw error;
    } finally {
      lock.release();
    }
  }

  /** What stopped while nobody was listening. */
  private settleStopped(): void {
    for (const instance of this.catalog.all()) {
      const { id } = instance.row;
      if (this.goingDown || this.isRunning(instance) || this.locks.holder(id) !== undefined) continue;
      if (this.member.get(id).volatile[power] !== 'RUNNING' || !this.settling) continue;
      void this.afterStop(instance).catch((error: unknown) => this.logger.error('Failed handling the end of an instance', { id, error: messageOf(error) }));
    }
  }

  /** False until what ran before has been started again: until then "was running" means "start it", not "has stopped". */
  private settling = false;

  settleFromNowOn(): void {
    this.settling = true;
  }

  private findByHostName(projectName: string): ExpandedInstance | undefined {
    return this.catalog.all().find((instance) => nameOf(instance) === projectName);
  }
}

/** Seconds of the wire: 0 and below mean for ever. */
export function timeoutOf(seconds: number | undefined): number {
  return (seconds ?? 0) > 0 ? seconds! * 1000 : 0;
}

/** `invalid` in LXD's words for an action that does not exist. */
export function refuseAction(action: string): never {
  throw invalid(`Unknown action: '${action}'`);
}

function nameOf({ row }: ExpandedInstance): string {
  return projectPrefixed(row.project, row.name);
}
