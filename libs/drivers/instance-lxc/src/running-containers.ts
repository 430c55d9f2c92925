import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, readProcessStat, signalProcess, startedAt, type Netlink } from '#host';
import { messageOf, type Logger } from '#kernel';
import type { ContainerCgroups } from './container-cgroups.js';
import type { ContainerDevices } from './devices/container-devices.js';
import type { DiskMounts } from './disk-devices.js';
import type { InstanceEvents } from './instance-events.js';
import type { InstanceRecords, RunningRecord } from './instance-records.js';
import type { HookLine } from './hook-fifo.js';
import type { NicHost } from './nics/nic-host.js';

const SIGKILL = 9;
/** The hook tells of an end at once. This finds containers whose monitor was killed before, so it need not be quick. */
const sweepMs = 3000;
/** LXC's monitor has some cleaning to do once init is gone; this is patience with it. */
const monitorPatienceMs = 10_000;

export interface RunningContainersDependencies {
  readonly records: InstanceRecords;
  readonly cgroups: ContainerCgroups;
  readonly disks: DiskMounts;
  readonly devices: Pick<ContainerDevices, 'forget'>;
  readonly nicHost: Pick<NicHost, 'forget'>;
  readonly netlink: Netlink;
  readonly events: InstanceEvents;
  readonly logger: Logger;
}

/** One container from the moment its init was seen until everything of it is gone. */
export interface RunningContainer {
  readonly projectName: string;
  record: RunningRecord;
  /** Somebody asked us to end it, so a reboot is not wanted. */
  stopRequested: boolean;
  /** Set once the end was noticed; resolves when everything is cleaned up. */
  ending: Promise<void> | null;
  target: 'stop' | 'reboot';
  /** Resolves when the end was noticed. */
  readonly noticed: PromiseWithResolvers<void>;
}

/**
 * Which containers run. Decided by their inits (pid and start time) and payload cgroups alone (hazards B2). An end is noticed through
 * LXC's hook, at once, or by a look at all inits each second, for a monitor that was killed.
 */
export class RunningContainers {
  private readonly running = new Map<string, RunningContainer>();
  private sweeper: NodeJS.Timeout | undefined;
  /** Called for a container that ended to be started again while no daemon listens. */
  onReboot: (projectName: string) => Promise<void> = async () => {};
  /** Called before what is left of a container is cleaned up: who works in its mounts keeps them. */
  onEnd: (projectName: string) => Promise<void> = async () => {};

  constructor(private readonly deps: RunningContainersDependencies) {}

  /** Takes up what runs on the host: by record where there is one, by its cgroup else. Ends what is left of others. */
  async adopt(): Promise<void> {
    const { records, cgroups } = this.deps;
    for (const projectName of new Set([...records.names(), ...cgroups.listRunning()])) {
      const record = records.get(projectName);
      const known = record?.running ?? null;
      const found = known !== null && isAlive(known.init) ? known : this.findRunning(projectName);
      if (found !== null) this.add(projectName, found);
      else if (known !== null || cgroups.payloadPids(projectName).length > 0) await this.cleanUp(projectName, known);
    }
    this.sweeper = setInterval(() => this.sweep(), sweepMs);
    this.sweeper.unref();
  }

  close(): void {
    clearInterval(this.sweeper);
  }

  /** The container if its init runs right now. */
  get(projectName: string): RunningContainer | undefined {
    const container = this.running.get(projectName);
    if (container === undefined || container.ending !== null) return undefined;
    if (isAlive(container.record.init)) return container;
    this.end(container);
    return undefined;
  }

  names(): string[] {
    return [...this.running.keys()];
  }

  /** What runs, or ends just now: everything that still has host names and cgroups. */
  all(): RunningContainer[] {
    return [...this.running.values()];
  }

  /** Waits until nothing is left of an earlier run. */
  async settled(projectName: string): Promise<void> {
    await this.running.get(projectName)?.ending;
  }

  add(projectName: string, record: RunningRecord): RunningContainer {
    const { records } = this.deps;
    const container: RunningContainer = { projectName, record, stopRequested: false, ending: null, target: 'stop', noticed: Promise.withResolvers() };
    this.running.set(projectName, container);
    const before = records.get(projectName);
    records.set(projectName, { spec: before?.spec ?? null, placementEpoch: before?.placementEpoch ?? 0, running: record });
    return container;
  }

  /** A container in our cgroup whose init nobody recorded; null when no init is there. */
  findRunning(projectName: string): RunningRecord | null {
    const pid = this.deps.cgroups.findInit(projectName);
    const init = pid === null ? null : readProcessStat(pid);
    if (init === null || init.state === 'Z') return null;
    const monitor = readProcessStat(init.parent);
    return {
      init: { pid: init.pid, startTicks: init.startTicks },
      // An init whose monitor was killed has been given to the host's own init.
      monitor: monitor === null || monitor.pid <= 1 ? null : { pid: monitor.pid, startTicks: monitor.startTicks },
      cgroups: this.deps.cgroups.directoriesOf(init.pid), startedAt: startedAt(init).toISOString(), hostNames: {},
    };
  }

  onHook({ projectName, target }: HookLine): void {
    const container = this.running.get(projectName);
    // The hook runs when init is gone: any other line is not about this run.
    if (container === undefined || isAlive(container.record.init)) return;
    container.target = target;
    this.end(container);
  }

  /** Starts the clean-up of a container whose init is gone; the same one however often it is noticed. */
  end(container: RunningContainer): Promise<void> {
    container.ending ??= this.finish(container).catch((error: unknown) => {
      this.deps.logger.error('Failed cleaning up after a container', { instance: container.projectName, error: messageOf(error) });
    });
    container.noticed.resolve();
    return container.ending;
  }

  private async finish(container: RunningContainer): Promise<void> {
    const { projectName, record } = container;
    await this.cleanUp(projectName, record);
    this.running.delete(projectName);
    const reboot = container.target === 'reboot' && !container.stopRequested;
    this.deps.events.emit({ projectName, event: reboot ? 'rebooting' : 'stopped', pid: record.init.pid });
    if (reboot && !this.deps.events.isWatched) void this.onReboot(projectName);
  }

  private async cleanUp(projectName: string, record: RunningRecord | null): Promise<void> {
    const { records, cgroups, devices, disks, netlink, nicHost } = this.deps;
    await this.onEnd(projectName);
    if (record !== null) {
      await waitForEnd(record.init, monitorPatienceMs);
      // It removes the veths and cgroups, and a new start must not meet its command socket.
      if (record.monitor !== null && !(await waitForEnd(record.monitor, monitorPatienceMs))) signalProcess(record.monitor, SIGKILL);
    }
    for (let tries = 0; !cgroups.killAll(projectName) && tries < 1000; tries++) await sleep(1 + tries / 10);
    for (const hostName of Object.values(record?.hostNames ?? {})) netlink.deleteLink(hostName);
    await devices.forget(projectName);
    await nicHost.forget(projectName, records.get(projectName)?.spec ?? null);
    disks.detachAll(projectName);
    await cgroups.removeWhenEmpty(projectName);
    const before = records.get(projectName);
    if (before !== undefined) records.set(projectName, { ...before, running: null });
  }

  private sweep(): void {
    for (const container of this.running.values()) if (container.ending === null && !isAlive(container.record.init)) this.end(container);
  }
}

/** Looks more and more rarely. True when the process has ended in time. */
async function waitForEnd(process_: { pid: number; startTicks: number }, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (let pause = 1; isAlive(process_); pause = Math.min(pause * 1.5, 50)) {
    if (performance.now() > deadline) return false;
    await sleep(pause);
  }
  return true;
}
