import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandFailedError, readCgroupFile, type CgroupLayout, type LxcTools, type NvidiaCards } from '#host';
import { conflict, forbidden, internal, isTrue, wrap } from '#kernel';
import type { InstanceSpec, StartInstanceOptions, StartResult } from '#ports';
import type { ContainerCgroups } from './container-cgroups.js';
import { criuErrors, stateDirectory, type ContainerCheckpoints } from './container-checkpoints.js';
import type { ContainerLimits } from './container-limits.js';
import type { ContainerDevices } from './devices/container-devices.js';
import type { DeviceParts } from './devices/device-handler.js';
import type { DiskMounts, DiskPlan } from './disk-devices.js';
import type { DiskLimits } from './disk-limits.js';
import { checkRawLxc, type HostPolicy } from './host-policy.js';
import type { InstanceRecords } from './instance-records.js';
import { lxcConfig } from './lxc-config.rules.js';
import type { LxcPaths } from './lxc-paths.js';
import { planNics, type NicPlan } from './nic-devices.rules.js';
import type { NicRules } from './nic-rules.js';
import type { NicHost } from './nics/nic-host.js';
import type { RootfsOwner } from './rootfs-owner.js';
import type { RunningContainers } from './running-containers.js';
import { interceptedCalls, interceptionSettings, seccompPolicy } from './seccomp-policy.rules.js';

const lxcfsRoot = '/var/lib/lxcfs';
const openFilesWanted = 1_048_576;
const lxcfsFiles = [
  'proc/cpuinfo', 'proc/diskstats', 'proc/loadavg', 'proc/meminfo', 'proc/slabinfo', 'proc/stat', 'proc/swaps', 'proc/uptime',
  'sys/devices/system/cpu/online',
];

/** What was made ready on the host. */
type StartParts = DeviceParts & { readonly disks: readonly DiskPlan[] };

export interface ContainerStarterDependencies {
  readonly paths: LxcPaths;
  readonly lxc: LxcTools;
  readonly helperPath: string;
  readonly records: InstanceRecords;
  readonly running: RunningContainers;
  readonly checkpoints: Pick<ContainerCheckpoints, 'keepLog'>;
  readonly cgroups: ContainerCgroups;
  readonly limits: ContainerLimits;
  readonly disks: DiskMounts;
  readonly diskLimits: DiskLimits;
  readonly devices: ContainerDevices;
  readonly rootfs: RootfsOwner;
  readonly policy: HostPolicy;
  readonly nicRules: NicRules;
  readonly nicHost: NicHost;
  readonly nvidia: Pick<NvidiaCards, 'checkRuntime'>;
}

/**
 * Brings a container up: files, mounts, configuration, `lxc-start`; one process besides LXC's own. That it runs is concluded from a
 * new init in our own, before then empty, payload cgroup (hazards B2, B3). A failure leaves nothing behind.
 */
export class ContainerStarter {
  private readonly appArmor = existsSync('/sys/kernel/security/apparmor') && readCgroupFile('/sys/module/apparmor/parameters/enabled') === 'Y';

  constructor(private readonly deps: ContainerStarterDependencies) {}

  /** The caller holds the instance's lock. */
  async start(spec: InstanceSpec, { restoreState = false }: StartInstanceOptions = {}): Promise<StartResult> {
    const { running, records, devices, disks, policy, paths, cgroups } = this.deps;
    cgroups.expectMoves();
    await running.settled(spec.projectName);
    if (running.get(spec.projectName) !== undefined) throw conflict('The instance is already running');
    this.checkEpoch(spec);
    if (spec.idmap.length === 0 && !policy.privilegedInstances) throw forbidden("The host's policy does not allow privileged instances");
    checkRawLxc(spec.config['raw.lxc'] ?? '', policy);
    checkImageRequirements(spec.config, cgroups.layout);
    this.deps.limits.settings(spec.config);
    checkRuntime(spec, this.deps.nvidia, 'Load go-lxc struct');
    await this.clearPayload(spec.projectName);
    const rootfsPath = `${paths.state.volume(spec.rootVolume.pool.name, spec.rootVolume.kind, spec.rootVolume.name)}/rootfs`;
    const rootfs = await this.deps.rootfs.prepare(spec, rootfsPath);
    // It came with a copy of a snapshot, say: what starts anew has no use for it.
    if (!restoreState) rmSync(stateDirectory(paths.state, spec.rootVolume), { recursive: true, force: true });
    const { nics: planned, volatile } = planNics(spec);
    this.deps.nicHost.check(spec, planned);
    records.set(spec.projectName, { spec, placementEpoch: spec.placementEpoch, running: null });
    try {
      const nics = await this.deps.nicHost.choose(spec, planned);
      // What a device says is LXD's wording already.
      const parts = { ...(await devices.prepare(spec)), disks: await disks.attachAll(spec) };
      const lent = await this.deps.nicHost.lend(spec, nics);
      const pid = await this.launch(spec, nics, parts, { path: rootfsPath, idmapped: rootfs.idmapped, restoreState });
      await devices.started({ spec, ...running.get(spec.projectName)!.record });
      return { pid, volatile: { ...volatile, ...lent, ...rootfs.volatile } };
    } catch (error) {
      await this.undo(spec.projectName);
      throw error;
    }
  }

  private async launch(spec: InstanceSpec, nics: readonly NicPlan[], parts: StartParts, rootfs: { path: string; idmapped: boolean; restoreState: boolean }): Promise<number> {
    const { paths } = this.deps;
    try {
      this.writeConfig(spec, nics, parts, rootfs);
      if (rootfs.restoreState) await this.restore(spec);
      else await this.deps.lxc.start({ lxcPath: paths.lxcPath, name: spec.projectName, logFile: paths.log(spec.projectName) });
      const pid = this.verify(spec.projectName, nics);
      await this.deps.nicRules.apply(spec, hostNamesOf(nics));
      await this.deps.nicHost.apply(spec, hostNamesOf(nics));
      return pid;
    } catch (error) {
      throw rootfs.restoreState ? wrap(error, 'Migrate') : wrap(error, `Failed to start "${spec.projectName}"`);
    }
  }

  /** What was written of it goes on, in the cgroups and behind the links of this start. What was written stays, whatever comes of it. */
  private async restore({ projectName, rootVolume }: InstanceSpec): Promise<void> {
    const { paths, lxc, checkpoints } = this.deps;
    const directory = stateDirectory(paths.state, rootVolume);
    if (!existsSync(directory)) throw internal('Stateful snapshot restore requested by snapshot is stateless');
    try {
      await lxc.restore({ lxcPath: paths.lxcPath, name: projectName, directory });
      await checkpoints.keepLog(projectName, directory, 'restore');
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      await checkpoints.keepLog(projectName, directory, 'restore');
      const words = await criuErrors(`${directory}/restore.log`);
      throw internal(words === '' ? `Failed to run: lxc-checkpoint --restore ${projectName}: exit status ${error.exitCode ?? -1}` : `snapshot restore failed\n${words}`, { cause: error });
    }
  }

  /** Nobody may find half a container: what came up in our cgroup goes down again. */
  private async undo(projectName: string): Promise<void> {
    const { cgroups, devices, disks } = this.deps;
    await this.discard(projectName);
    await devices.forget(projectName);
    await this.deps.nicHost.forget(projectName, this.deps.records.get(projectName)?.spec ?? null);
    disks.detachAll(projectName);
    await cgroups.removeWhenEmpty(projectName);
  }

  private checkEpoch(spec: InstanceSpec): void {
    const seen = this.deps.records.lowestEpoch(spec);
    if (spec.placementEpoch < seen) {
      throw conflict(`Instance "${spec.projectName}" was moved: its placement ${spec.placementEpoch} is older than ${seen}`);
    }
  }

  /** Hazards B2: an init of an earlier run is the container, whoever lost sight of it; other leftovers have no business there. */
  private async clearPayload(projectName: string): Promise<void> {
    const { running, cgroups } = this.deps;
    const found = running.findRunning(projectName);
    if (found !== null) {
      running.add(projectName, found);
      throw conflict('The instance is already running');
    }
    for (let tries = 0; !cgroups.killAll(projectName); tries++) {
      if (tries === 100) throw internal(`Processes of an earlier run of "${projectName}" do not end`);
      await sleep(1 + tries / 10);
    }
    cgroups.remove(projectName);
  }

  private writeConfig(spec: InstanceSpec, nics: readonly NicPlan[], parts: StartParts, rootfs: { path: string; idmapped: boolean }): void {
    const { paths, limits, diskLimits, helperPath, cgroups, running, records } = this.deps;
    const { projectName } = spec;
    const seccomp = paths.seccomp(projectName);
    mkdirSync(`${paths.state.root}/security/seccomp`, { recursive: true, mode: 0o700 });
    writeFileSync(paths.syscallSettings(projectName), interceptionSettings(spec.config), { mode: 0o600 });
    writeFileSync(seccomp, seccompPolicy(spec.config, spec.architecture), { mode: 0o600 });
    const others = running.names().filter((name) => name !== projectName).map((name) => ({ projectName: name, limit: records.get(name)?.spec?.config['limits.cpu'] ?? '' }));
    const pins = limits.pins([...others, { projectName, limit: spec.config['limits.cpu'] ?? '' }]);
    const config = lxcConfig({
      spec, rootfs: rootfs.path, rootfsIdmapped: rootfs.idmapped, seccomp, nics, syscallSocket: interceptedCalls(spec.config).length > 0 ? paths.syscallSocket : '',
      log: paths.log(projectName), consoleLog: paths.consoleLog(projectName),
      payloadCgroup: paths.payloadCgroup(projectName), monitorCgroup: paths.monitorCgroup(projectName), pivotCgroup: paths.pivotCgroup(projectName),
      postStop: `${helperPath} notify ${paths.hookFifo} ${projectName}`,
      disks: parts.disks, devices: parts, limits: [...limits.settings(spec.config), ...diskLimits.settings(spec)], cpus: pins.get(projectName) ?? null,
      cpusetUnified: limits.cpusetUnified, appArmor: this.appArmor, devicesUnified: devicesUnified(cgroups.layout), openFiles: openFilesLimit(),
      guestDirectory: paths.state.devlxd,
      lxcfs: existsSync(`${lxcfsRoot}/proc`) ? lxcfsFiles.filter((file) => existsSync(`${lxcfsRoot}/${file}`)) : [], lxcfsRoot,
    });
    writeFileSync(paths.config(projectName), config, { mode: 0o640 });
    // LXC appends to it; made here, it can be read by the daemon.
    writeFileSync(paths.consoleLog(projectName), '', { mode: 0o640, flag: 'a' });
    if (existsSync(paths.log(projectName))) renameSync(paths.log(projectName), `${paths.log(projectName)}.old`);
    const directory = paths.containerDirectory(projectName);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    linkTo(paths.config(projectName), `${directory}/config`);
  }

  private verify(projectName: string, nics: readonly NicPlan[]): number {
    const found = this.deps.running.findRunning(projectName);
    if (found === null) throw internal('LXC says that it runs, but its cgroup holds no init: it ended at once, or another container answers under its name');
    this.deps.running.add(projectName, { ...found, hostNames: hostNamesOf(nics) });
    return found.init.pid;
  }

  private async discard(projectName: string): Promise<void> {
    const { running, cgroups } = this.deps;
    const found = running.get(projectName) ?? null;
    if (found !== null) {
      found.stopRequested = true;
      cgroups.killAll(projectName);
      await running.end(found);
    } else cgroups.killAll(projectName);
  }
}

/** @throws in LXD's words, behind what it was doing, when a container shall have the runtime of a driver the host has no tools for. */
export function checkRuntime({ config }: InstanceSpec, nvidia: Pick<NvidiaCards, 'checkRuntime'>, doing: string): void {
  try {
    if (isTrue(config['nvidia.runtime'])) nvidia.checkRuntime();
  } catch (error) {
    throw wrap(error, doing);
  }
}

/** Host ends of the veths, by device. */
function hostNamesOf(nics: readonly NicPlan[]): Record<string, string> {
  return Object.fromEntries(nics.filter(({ hostName }) => hostName !== '').map(({ device, hostName }) => [device, hostName]));
}

/** Services in containers count on a high limit; root without CAP_SYS_RESOURCE can give no more than it has (hazards E5). */
function openFilesLimit(): number {
  const hard = /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return Math.min(openFilesWanted, Number(hard ?? openFilesWanted));
}

/** What the image needs of the host. @throws in LXD's words. */
export function checkImageRequirements(config: Readonly<Record<string, string>>, layout: CgroupLayout): void {
  if (config['image.requirements.cgroup'] === 'v1' && layout.v1.size === 0) throw internal('The image used by this instance requires a CGroupV1 host system');
}

function devicesUnified(layout: CgroupLayout): boolean {
  return !layout.v1.has('devices');
}

/** A link of this name to this file, replacing what is there. */
export function linkTo(target: string, path: string): void {
  try {
    if (readlinkSync(path) === target) return;
  } catch {
    // Not there, or no link.
  }
  rmSync(path, { recursive: true, force: true });
  symlinkSync(target, path);
}
