import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import type { InstanceEvent } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceHostPower } from './instance-host-power.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { InstanceLocks } from './instance-locks.js';
import { InstancePower } from './instance-power.service.js';
import { hostName } from './instance-urls.js';
import { MemberMaintenance } from './members/member-maintenance.js';
import { PowerStates } from './power-states.js';

/**
 * What instances do by themselves: power off, reboot. Told by the host when it happens, and found by comparing after a time in which
 * nobody listened. What this daemon does itself holds the instance's lock and is not looked at here.
 */
@Injectable()
export class InstanceHostEvents {
  /** False until what ran before has been started again: until then "was running" means "start it", not "has stopped". */
  private settling = false;
  private deaf = false;
  private readonly leaving = new Set<number>();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly host: InstanceHostPower,
    private readonly power: InstancePower,
    private readonly locks: InstanceLocks,
    private readonly events: InstanceLifecycleEvents,
    private readonly maintenance: MemberMaintenance,
    private readonly logger: Logger,
  ) {}

  follow(): void {
    this.states.onEvent((event) => this.take(event));
    this.states.onResync(() => this.settle());
    this.states.watch();
  }

  /** From now on an instance that was running and is not has stopped by itself. */
  settleFromNowOn(): void {
    this.settling = true;
  }

  /** The host goes down: what stops now does so because it is told to. */
  ignore(): void {
    this.deaf = true;
  }

  /** It is stopped in order to go elsewhere: its stop is no end. Call the result when it has gone, or not. */
  overlook(id: number): () => void {
    this.leaving.add(id);
    return () => this.leaving.delete(id);
  }

  private take(event: InstanceEvent): void {
    if (event.event === 'started' || this.deaf) return;
    const instance = this.catalog.local().find(({ row }) => hostName(row) === event.projectName);
    if (instance === undefined || this.isKeptDown(instance)) return;
    const busy = this.locks.holder(instance.row.id);
    if (busy !== undefined) {
      // Most likely it is what that work did; if not, it shows when the work has ended.
      void busy.done.then(() => this.take(event));
      return;
    }
    if (this.host.isRunning(instance) || !this.host.wasRunning(instance)) return;
    this.handle(instance, event.event === 'rebooting' ? this.afterReboot(instance) : this.afterStop(instance));
  }

  private settle(): void {
    if (this.deaf) return;
    for (const instance of this.catalog.local()) {
      if (this.isBusy(instance)) continue;
      const [runs, ran] = [this.host.isRunning(instance), this.host.wasRunning(instance)];
      if (runs && !ran) this.host.rememberRunning(instance);
      else if (ran && !runs && this.settling && !this.isKeptDown(instance)) this.handle(instance, this.afterStop(instance));
    }
  }

  private async afterStop(instance: ExpandedInstance): Promise<void> {
    this.host.rememberStopped(instance);
    this.events.send('shutdown', instance.row);
    await this.power.removeEphemeral(instance);
  }

  private async afterReboot(instance: ExpandedInstance): Promise<void> {
    const lock = this.locks.acquire(instance.row.id, 'restart');
    try {
      this.events.send('shutdown', instance.row);
      await this.host.start(instance.row.id);
      this.events.send('restarted', instance.row);
    } catch (error) {
      this.host.rememberStopped(instance);
      throw error;
    } finally {
      lock.release();
    }
  }

  /** It does not run because this member is emptied, and is to run again afterwards. */
  private isKeptDown({ row }: ExpandedInstance): boolean {
    return this.leaving.has(row.id) || this.maintenance.evacuated();
  }

  private isBusy({ row }: ExpandedInstance): boolean {
    return this.locks.holder(row.id) !== undefined;
  }

  private handle({ row }: ExpandedInstance, work: Promise<void>): void {
    work.catch((error: unknown) => this.logger.error('Failed handling what an instance did by itself', { instance: hostName(row), error: messageOf(error) }));
  }
}
