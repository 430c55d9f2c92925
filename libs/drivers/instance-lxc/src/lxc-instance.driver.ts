import { existsSync, lstatSync, mkdirSync, chownSync, chmodSync, renameSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import type { Netlink, NvidiaCards } from '#host';
import type { NicRules } from './nic-rules.js';
import { conflict, invalid, isTrue, KeyedMutex, messageOf, type Logger } from '#kernel';
import {
  InstanceDriver,
  type DiskUsage, type InstanceEvent, type InstanceSpec, type InstanceStatus, type InstanceUsage, type PowerState, type StartInstanceOptions, type StartResult, type StopRequest,
  type UsageRequest, type VolatileChange, type VolumeSpec, type VolumeUsage,
} from '#ports';
import type { ContainerCgroups } from './container-cgroups.js';
import type { ContainerLimits } from './container-limits.js';
import { checkRuntime, linkTo, type ContainerStarter } from './container-starter.js';
import type { ContainerStopper } from './container-stopper.js';
import type { ContainerUpdate } from './container-update.js';
import { runningUsage, stoppedUsage } from './container-usage.js';
import type { ContainerDevices } from './devices/container-devices.js';
import type { DiskMounts } from './disk-devices.js';
import type { InstanceEvents } from './instance-events.js';
import type { InstanceRecords } from './instance-records.js';
import type { LxcInstanceFiles } from './lxc-instance-files.driver.js';
import type { LxcPaths } from './lxc-paths.js';
import { interceptionSettings } from './seccomp-policy.rules.js';
import type { RunningContainer, RunningContainers } from './running-containers.js';

export interface LxcInstanceDriverDependencies {
  readonly paths: LxcPaths;
  /** May read logs and lists of them. */
  readonly daemonGid: number;
  readonly records: InstanceRecords;
  readonly running: RunningContainers;
  readonly cgroups: ContainerCgroups;
  readonly disks: DiskMounts;
  readonly devices: ContainerDevices;
  readonly limits: ContainerLimits;
  readonly starter: ContainerStarter;
  readonly stopper: ContainerStopper;
  readonly update: ContainerUpdate;
  readonly files: Pick<LxcInstanceFiles, 'end'>;
  readonly nicRules: NicRules;
  readonly nvidia: Pick<NvidiaCards, 'checkRuntime'>;
  readonly netlink: Netlink;
  readonly events: InstanceEvents;
  readonly volumeUsage: (volume: VolumeSpec) => Promise<VolumeUsage>;
  readonly logger: Logger;
}

/**
 * Containers by LXC. One thing at a time per instance. Owns the links `containers/NAME`, `logs/NAME`, `devices/NAME`, the cgroups below
 * `roost-<state id>` and LXC's files; the root volume belongs to storage. Survives a restart of the agent: nothing it starts ends
 * with it.
 */
export class LxcInstanceDriver extends InstanceDriver {
  private readonly locks = new KeyedMutex();
  private readonly linkNames = new Map<number, string>();

  constructor(private readonly deps: LxcInstanceDriverDependencies) {
    super();
    deps.running.onReboot = (projectName) => this.restartAlone(projectName);
  }

  override createInstance(spec: InstanceSpec): Promise<void> {
    return this.locks.run(spec.projectName, () => {
      checkName(spec);
      const { paths, records, daemonGid } = this.deps;
      const { state } = paths;
      const known = records.get(spec.projectName)?.spec;
      if (known && known.id !== spec.id && this.deps.running.get(spec.projectName)) throw conflict(`Instance "${spec.projectName}" is known to the host under another id`);
      directory(`${state.root}/containers`, 0o711);
      linkTo(state.volume(spec.rootVolume.pool.name, spec.rootVolume.kind, spec.rootVolume.name), state.instanceLink('container', spec.projectName));
      directory(paths.logs(spec.projectName), 0o2750, daemonGid);
      directory(paths.devices(spec.projectName), 0o711);
      // Who asks for the log of one that never ran finds an empty one.
      writeFileSync(paths.log(spec.projectName), '', { mode: 0o640, flag: 'a' });
      this.deps.records.arrived(spec.id);
      this.remember(spec);
    });
  }

  override startInstance(spec: InstanceSpec, options: StartInstanceOptions = {}): Promise<StartResult> {
    return this.locks.run(spec.projectName, async () => {
      checkName(spec);
      directory(this.deps.paths.logs(spec.projectName), 0o2750, this.deps.daemonGid);
      directory(this.deps.paths.devices(spec.projectName), 0o711);
      // Its files may get other owners.
      await this.deps.files.end(spec.projectName);
      const result = await this.deps.starter.start(spec, options);
      this.repin();
      this.deps.events.emit({ projectName: spec.projectName, event: 'started', pid: result.pid });
      return result;
    });
  }

  /** Not under the lock of other changes: a forced stop must get through while a clean one waits. */
  override async stopInstance(request: StopRequest): Promise<void> {
    await this.deps.stopper.stop(request);
    this.repin();
    await this.forgetNics(request.projectName);
  }

  private async forgetNics(projectName: string): Promise<void> {
    const spec = this.deps.records.get(projectName)?.spec;
    if (spec) await this.deps.nicRules.forget(spec);
  }

  override freezeInstance(projectName: string): Promise<void> {
    return this.locks.run(projectName, () => this.deps.stopper.freeze(this.getRunning(projectName), true));
  }

  override unfreezeInstance(projectName: string): Promise<void> {
    return this.locks.run(projectName, () => this.deps.stopper.freeze(this.getRunning(projectName), false));
  }

  override updateInstance(before: InstanceSpec, after: InstanceSpec): Promise<VolatileChange> {
    return this.locks.run(after.projectName, async () => {
      this.deps.limits.settings(after.config);
      if (!isTrue(before.config['nvidia.runtime'])) checkRuntime(after, this.deps.nvidia, 'Initialize LXC');
      const container = this.deps.running.get(after.projectName);
      let volatile: Readonly<Record<string, string>> = {};
      this.deps.disks.checkAdded(before, after);
      if (container !== undefined) {
        writeFileSync(this.deps.paths.syscallSettings(after.projectName), interceptionSettings(after.config), { mode: 0o600 });
        const change = await this.deps.update.apply(container, before, after);
        await this.deps.nicRules.apply(after, change.hostNames, { spec: before, hostNames: container.record.hostNames });
        volatile = change.volatile;
        container.record = { ...container.record, hostNames: change.hostNames };
      }
      this.remember(after);
      this.deps.devices.rewatch();
      if (container !== undefined && before.config['limits.cpu'] !== after.config['limits.cpu']) this.repin();
      return { volatile };
    });
  }

  override renameInstance(before: InstanceSpec, after: InstanceSpec): Promise<void> {
    return this.locks.run(before.projectName, async () => {
      checkName(after);
      const { paths, records, running } = this.deps;
      await running.settled(before.projectName);
      await this.deps.files.end(before.projectName);
      if (running.get(before.projectName) !== undefined) throw conflict('Renaming of running container not allowed');
      for (const place of [paths.logs.bind(paths), paths.devices.bind(paths), paths.seccomp.bind(paths)]) moveIfThere(place(before.projectName), place(after.projectName));
      rmSync(paths.state.instanceLink('container', before.projectName), { force: true });
      linkTo(paths.state.volume(after.rootVolume.pool.name, after.rootVolume.kind, after.rootVolume.name), paths.state.instanceLink('container', after.projectName));
      this.removeLxcFiles(before.projectName);
      records.delete(before.projectName);
      this.remember(after);
    });
  }

  override destroyInstance(projectName: string): Promise<void> {
    return this.locks.run(projectName, async () => {
      const { paths, records, running, disks, devices, cgroups } = this.deps;
      await running.settled(projectName);
      if (running.get(projectName) !== undefined) throw conflict('Instance is running');
      await this.deps.files.end(projectName);
      await devices.forget(projectName);
      disks.detachAll(projectName);
      await this.forgetNics(projectName);
      rmSync(paths.state.instanceLink('container', projectName), { force: true });
      for (const path of [paths.logs(projectName), paths.devices(projectName), paths.seccomp(projectName)]) rmSync(path, { recursive: true, force: true });
      this.removeLxcFiles(projectName);
      cgroups.remove(projectName);
      records.depart(projectName);
      if (records.names().length === 0) cgroups.removeRoot();
    });
  }

  override async describeStatus(projectNames: readonly string[]): Promise<InstanceStatus[]> {
    const { records, running } = this.deps;
    const names = projectNames.length > 0 ? projectNames : [...new Set([...records.names(), ...running.names()])];
    return names.map((projectName) => {
      const container = running.get(projectName);
      if (container === undefined) return { projectName, power: 'Stopped', pid: 0, startedAt: '' };
      return { projectName, power: this.powerOf(container), pid: container.record.init.pid, startedAt: container.record.startedAt };
    });
  }

  override async describeUsage(requests: readonly UsageRequest[]): Promise<InstanceUsage[]> {
    const disks = await Promise.all(requests.map((request) => this.diskUsage(request)));
    const usages: InstanceUsage[] = [];
    for (const [index, { projectName }] of requests.entries()) {
      const container = this.deps.running.get(projectName);
      usages.push(container === undefined
        ? stoppedUsage(projectName, disks[index] ?? [])
        : runningUsage(container, this.powerOf(container), this.deps.netlink, disks[index] ?? [], (link) => this.hostLinkName(link)));
      // A scrape of hundreds of containers must not hold up everything else.
      if (index % 32 === 31) await new Promise((resolve) => setImmediate(resolve));
    }
    return usages;
  }

  override watchInstances(signal: AbortSignal): AsyncIterable<InstanceEvent> {
    return this.deps.events.watch(signal);
  }

  private powerOf({ record }: RunningContainer): PowerState {
    return this.deps.cgroups.isFrozen(record.cgroups) ? 'Frozen' : 'Running';
  }

  private getRunning(projectName: string): RunningContainer {
    const container = this.deps.running.get(projectName);
    if (container === undefined) throw conflict("The container isn't running");
    return container;
  }

  private remember(spec: InstanceSpec): void {
    const before = this.deps.records.get(spec.projectName);
    const placementEpoch = Math.max(spec.placementEpoch, before?.placementEpoch ?? 0);
    this.deps.records.set(spec.projectName, { spec, placementEpoch, running: this.deps.running.get(spec.projectName)?.record ?? null });
  }

  private repin(): void {
    const { running, records, limits } = this.deps;
    limits.repin(running.all().filter(({ ending }) => ending === null).map(({ projectName, record }) => ({
      projectName, cgroups: record.cgroups, limit: records.get(projectName)?.spec?.config['limits.cpu'] ?? '',
    })));
  }

  /** A container rebooted while no daemon listens: it comes back with what we know of it. */
  private async restartAlone(projectName: string): Promise<void> {
    const spec = this.deps.records.get(projectName)?.spec;
    if (!spec) return;
    try {
      await this.startInstance(spec);
    } catch (error) {
      this.deps.logger.error('Failed starting a container again after its reboot', { instance: projectName, error: messageOf(error) });
      this.deps.events.emit({ projectName, event: 'stopped', pid: 0 });
    }
  }

  private async diskUsage({ rootVolume, rootDevice }: UsageRequest): Promise<DiskUsage[]> {
    try {
      const { usedBytes, totalBytes } = await this.deps.volumeUsage(rootVolume);
      return usedBytes < 0 ? [] : [{ device: rootDevice, usedBytes, totalBytes }];
    } catch {
      return []; // A volume that cannot be asked must not hide everything else.
    }
  }

  /** Indices of links are not used twice, so one look at them all serves until an unknown one shows up. */
  private hostLinkName(index: number): string {
    if (index === 0) return '';
    if (!this.linkNames.has(index)) {
      this.linkNames.clear();
      for (const link of this.deps.netlink.listLinks()) this.linkNames.set(link.index, link.name);
      if (!this.linkNames.has(index)) this.linkNames.set(index, '');
    }
    return this.linkNames.get(index) ?? '';
  }

  private removeLxcFiles(projectName: string): void {
    const { paths } = this.deps;
    rmSync(paths.containerDirectory(projectName), { recursive: true, force: true });
    rmSync(paths.syscallSettings(projectName), { force: true });
    rmSync(`${paths.lockDirectory()}/.${projectName}`, { force: true });
    removeEmpty(paths.lockDirectory(), '/run/lxc/lock');
  }
}

/** The name becomes part of paths that root works on. */
function checkName({ projectName, type }: InstanceSpec): void {
  if (type !== 'container') throw invalid(`Instances of type "${type}" are not supported on this host`);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(projectName)) throw invalid(`Invalid instance name "${projectName}"`);
}

function directory(path: string, mode: number, gid = 0): void {
  if (!existsSync(path)) mkdirSync(path, { recursive: true, mode });
  const status = lstatSync(path);
  if (!status.isDirectory()) throw invalid(`${path} is not a directory: refusing to work through it`);
  if ((status.mode & 0o7777) !== mode) chmodSync(path, mode);
  if (status.uid !== 0 || status.gid !== gid) chownSync(path, 0, gid);
}

function moveIfThere(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to);
}

/** Removes a directory and its parents up to, not including, `stop`, as long as they are empty. */
function removeEmpty(path: string, stop: string): void {
  for (let at = path; at.startsWith(`${stop}/`); at = at.slice(0, at.lastIndexOf('/'))) {
    try {
      rmdirSync(at);
    } catch {
      return; // Somebody else's lock is in it, or it is gone.
    }
  }
}

