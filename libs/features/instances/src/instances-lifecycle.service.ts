import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Deadline, internalContext, Logger, messageOf } from '#kernel';
import { Database } from '#platform/database';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceHostEvents } from './instance-host-events.service.js';
import { InstanceHostPower } from './instance-host-power.js';
import { InstancePower } from './instance-power.service.js';
import { hostName } from './instance-urls.js';
import { MemberMaintenance } from './members/member-maintenance.js';
import { PowerStates } from './power-states.js';
import { InstancesReconciler } from './reconcile/instances.reconciler.js';
import { hostShutdownTimeoutMs, instancesToStart, startDelayMs, stopGroups } from './rules/boot-order.rules.js';

const attempts = 3;
const retryDelayMs = 5000;
const quorumProbeMs = 1000;

/** What the daemon's start and end mean for instances. */
@Injectable()
export class InstancesLifecycle implements OnModuleDestroy {
  private starting: AbortController | undefined;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly power: InstancePower,
    private readonly host: InstanceHostPower,
    private readonly hostEvents: InstanceHostEvents,
    private readonly reconciler: InstancesReconciler,
    private readonly database: Database,
    private readonly maintenance: MemberMaintenance,
    private readonly logger: Logger,
  ) {}

  onModuleDestroy(): void {
    this.starting?.abort();
  }

  /**
   * Call once the agent answers, pools are mounted, networks up and stored operations taken up again. Looks at the host, settles what
   * does not match, follows events from then on, and starts what ran before or asks for it. Resolves when all of that was tried once;
   * instances that refused are tried again in the background.
   */
  async startUp(): Promise<void> {
    await this.states.ready();
    const abort = (this.starting = new AbortController());
    const fresh = await this.isFresh();
    if (fresh) await this.reconciler.run(abort.signal);
    this.hostEvents.follow();
    if (fresh) return this.startWhatRan(abort);
    this.logger.warn('No quorum: instances are not started before there is one, unless somebody asks for it');
    void this.startWhenFresh(abort);
  }

  /** Rows may say where an instance was yesterday: nothing is started by them before the log was seen (hazards B1). */
  private async startWhenFresh(abort: AbortController): Promise<void> {
    while (!abort.signal.aborted) {
      await pause(quorumProbeMs, abort.signal);
      if (abort.signal.aborted || !(await this.isFresh())) continue;
      await this.reconciler.run(abort.signal).catch((error: unknown) => this.logger.error('Failed comparing instances with the host', { error: messageOf(error) }));
      return this.startWhatRan(abort);
    }
  }

  private async isFresh(): Promise<boolean> {
    try {
      return (await this.database.barrier(internalContext())) === 'fresh';
    } catch (error) {
      this.logger.warn('The log cannot be followed', { error: messageOf(error) });
      return false;
    }
  }

  private async startWhatRan(abort: AbortController): Promise<void> {
    if (this.maintenance.evacuated()) return;
    for (const { instance } of instancesToStart(this.bootable((instance) => !this.power.isRunning(instance)))) {
      if (abort.signal.aborted) return;
      if (!(await this.tryStart(instance))) void this.retry(instance, abort.signal);
      await pause(startDelayMs({ ...instance.row, config: this.catalog.fullConfig(instance) }), abort.signal);
    }
    this.hostEvents.settleFromNowOn();
  }

  /**
   * Stops what runs, highest `boot.stop.priority` first, a group at once, each as long as its `boot.host_shutdown_timeout` and no longer than
   * what is left of `timeoutMs` (0: no limit). What ran is started again by the next `startUp`.
   */
  async shutdownAll(timeoutMs: number): Promise<void> {
    this.starting?.abort();
    this.hostEvents.ignore();
    await this.states.ready();
    const deadline = new Deadline(timeoutMs > 0 ? timeoutMs : Infinity);
    for (const group of stopGroups(this.bootable((instance) => this.power.isRunning(instance)))) {
      await Promise.all(group.map(({ instance, config, name, project }) => {
        const leftMs = Math.max(1, deadline.leftMs);
        return this.host.stopForHost(instance, Math.min(leftMs, hostShutdownTimeoutMs({ name, project, config })));
      }));
    }
  }

  private bootable(chosen: (instance: ExpandedInstance) => boolean) {
    return this.catalog.local().filter((instance) => instance.row.state === 'Created' && chosen(instance))
      .map((instance) => ({ name: instance.row.name, project: instance.row.project, config: this.catalog.fullConfig(instance), instance }));
  }

  private async tryStart(instance: ExpandedInstance): Promise<boolean> {
    const current = this.catalog.findById(instance.row.id);
    if (current === undefined || this.power.isRunning(current)) return true;
    try {
      // One that ran and has a state was cut off on its way elsewhere.
      await this.power.start(internalContext(), current, { stateful: current.row.stateful && this.host.wasRunning(current) });
      return true;
    } catch (error) {
      this.logger.warn('Failed starting an instance with the daemon', { instance: hostName(instance.row), error: messageOf(error) });
      return false;
    }
  }

  private async retry(instance: ExpandedInstance, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; attempt < attempts; attempt++) {
      await pause(retryDelayMs, signal);
      if (signal.aborted || (await this.tryStart(instance))) return;
    }
    this.logger.error('Giving up starting an instance with the daemon', { instance: hostName(instance.row) });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
