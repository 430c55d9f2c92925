import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { claimMemoryDirectory, HelperService, Ip, LxcTools, makePlainIdMaps, Mounts, Netlink, NvidiaCards, ProxyProcesses, readCgroupLayout, RoostHelper, SessionServer, Swtpm, Tc, UeventReader, type CommandRunner } from '#host';
import { invalid, type Logger, type StateDirectory } from '#kernel';
import type { FirewallDriver, VolumeSpec, VolumeUsage } from '#ports';
import { NicRules } from './nic-rules.js';
import { InfinibandLinks } from './nics/infiniband-links.js';
import { NicHost } from './nics/nic-host.js';
import { VirtualFunctions } from './nics/virtual-functions.js';
import { ContainerCgroups } from './container-cgroups.js';
import { ContainerCheckpoints } from './container-checkpoints.js';
import { ContainerLimits } from './container-limits.js';
import { ContainerStarter } from './container-starter.js';
import { ContainerStopper } from './container-stopper.js';
import { ContainerUpdate } from './container-update.js';
import { ContainerDevices } from './devices/container-devices.js';
import type { DeviceHost } from './devices/device-handler.js';
import { DeviceNodes } from './devices/device-nodes.js';
import { GpuSlices } from './devices/gpu-slices.js';
import { HostWatch } from './devices/host-watch.js';
import { hostDeviceRoots, NodeDevices, type DeviceRoots } from './devices/node-devices.js';
import { ProxyDevices } from './devices/proxy-devices.js';
import { InfinibandDevices } from './devices/infiniband-devices.js';
import { TpmDevices } from './devices/tpm-devices.js';
import { DiskMounts } from './disk-devices.js';
import { DiskLimits } from './disk-limits.js';
import { BlockSources } from './disk-sources.js';
import { HookFifo } from './hook-fifo.js';
import { policyForPlainDaemon, policyForRootDaemon, type HostPolicy } from './host-policy.js';
import { InstanceEvents } from './instance-events.js';
import { InstanceRecords } from './instance-records.js';
import { LxcExecSessions } from './lxc-exec-sessions.driver.js';
import { LxcInstanceDriver } from './lxc-instance.driver.js';
import { LxcInstanceFiles } from './lxc-instance-files.driver.js';
import { LxcInstanceLogs } from './lxc-instance-logs.driver.js';
import { LxcPaths } from './lxc-paths.js';
import { idmappedMountsDisabled, RootfsOwner } from './rootfs-owner.js';
import { RunningContainers } from './running-containers.js';

export interface LxcHostOptions {
  readonly state: StateDirectory;
  /** 16 hex digits of the state directory. */
  readonly stateId: string;
  readonly commands: CommandRunner;
  readonly logger: Logger;
  /** Whom logs are readable for. */
  readonly daemon: { readonly uid: number; readonly gid: number };
  /** For the disk usage of instances: the storage driver's `describeVolume`. Must not start processes. */
  readonly volumeUsage: (volume: VolumeSpec) => Promise<VolumeUsage>;
  /** Keeps the filters of NICs and the rules of proxies. */
  readonly firewall: Pick<FirewallDriver, 'ensureNicFilter' | 'removeNicFilter' | 'ensureProxyForward' | 'removeProxyForward'>;
  /** Where the host's devices are seen. */
  readonly deviceRoots?: DeviceRoots;
  /** The emulator of TPMs, a name or a path. */
  readonly swtpm?: string;
  /** Default: all for a daemon that is root, else no programs of the daemon's choice and no system directories as disks. */
  readonly policy?: HostPolicy;
  readonly helper?: RoostHelper;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Containers of one state directory: the ports that concern them, and what they share. */
export class LxcHost {
  readonly instances: LxcInstanceDriver;
  readonly exec: LxcExecSessions;
  readonly logs: LxcInstanceLogs;
  readonly files: LxcInstanceFiles;
  readonly checkpoints: ContainerCheckpoints;
  private readonly paths: LxcPaths;
  private readonly records: InstanceRecords;
  private readonly running: RunningContainers;
  private readonly cgroups: ContainerCgroups;
  private readonly fifo: HookFifo;
  private readonly helpers: readonly HelperService[];
  private readonly netlink = new Netlink();
  private readonly devices: ContainerDevices;
  private readonly watch: HostWatch;

  constructor(options: LxcHostOptions) {
    const { state, stateId, commands, logger } = options;
    const policy = options.policy ?? (options.daemon.uid === 0 ? policyForRootDaemon : policyForPlainDaemon);
    const helper = options.helper ?? new RoostHelper(commands);
    const layout = readCgroupLayout();
    const events = new InstanceEvents();
    const paths = new LxcPaths(state, stateId, claimMemoryDirectory(`roost-${stateId}`));
    const records = new InstanceRecords(paths);
    const cgroups = new ContainerCgroups(paths, layout);
    const disks = new DiskMounts(paths, state, policy, new BlockSources(commands, new Mounts(commands), state.run));
    const diskLimits = new DiskLimits(disks, layout);
    const limits = new ContainerLimits(layout, logger);
    const lxc = new LxcTools(commands, paths.plainIdMaps);
    const roots = options.deviceRoots ?? hostDeviceRoots;
    const deviceNodes = new DeviceNodes(paths, helper, lxc);
    const nodes = new NodeDevices(deviceNodes, roots, logger);
    const nvidia = new NvidiaCards(commands);
    const ip = new Ip(commands, this.netlink);
    const infiniband = new InfinibandLinks(roots.sysfs);
    const nicHost = new NicHost(ip, this.netlink, paths, new VirtualFunctions(ip, roots.sysfs), infiniband);
    const tpms = new TpmDevices(paths, deviceNodes, new Swtpm(commands, roots.sysfs, options.swtpm), logger);
    const proxies = new ProxyDevices(paths, new ProxyProcesses(commands, helper.path), options.firewall, logger);
    const devices = new ContainerDevices([nodes, new GpuSlices(nvidia, roots), proxies, tpms, new InfinibandDevices(deviceNodes, infiniband, nicHost, roots.dev)], nodes, () => this.deviceHosts());
    const running = new RunningContainers({ records, cgroups, disks, devices, nicHost, netlink: this.netlink, events, logger });
    const nicRules = new NicRules(new Tc(commands), options.firewall);
    const rootfs = new RootfsOwner(helper, idmappedMountsDisabled(options.environment ?? process.env));
    [this.paths, this.records, this.running, this.cgroups, this.devices] = [paths, records, running, cgroups, devices];
    this.watch = new HostWatch(new UeventReader(commands, helper.path, logger), () => void devices.follow());
    this.fifo = new HookFifo(paths.hookFifo, (line) => running.onHook(line));
    const guests = { socket: `${state.devlxd}/sock`, daemonSocket: state.guestSocket, cgroupRoot: paths.cgroupRoot, daemonUid: options.daemon.uid };
    this.helpers = [
      HelperService.guests(commands, helper.path, guests, logger), HelperService.syscalls(commands, helper.path, paths.syscallSocket, paths.syscallSettingsDirectory, logger),
    ];
    this.files = new LxcInstanceFiles(paths, running, commands);
    this.checkpoints = new ContainerCheckpoints({ paths, lxc, records, running, logger });
    running.onEnd = (projectName) => this.files.end(projectName);
    this.instances = new LxcInstanceDriver({
      files: this.files,
      paths, daemonGid: options.daemon.gid, records, running, cgroups, disks, devices, limits, netlink: this.netlink, events, volumeUsage: options.volumeUsage, logger,
      starter: new ContainerStarter({ paths, lxc, helperPath: helper.path, records, running, checkpoints: this.checkpoints, cgroups, limits, disks, diskLimits, devices, rootfs, policy, nicRules, nicHost, nvidia }),
      stopper: new ContainerStopper(running, cgroups, records),
      update: new ContainerUpdate(limits, disks, diskLimits, devices, helper, nicHost, state.devlxd),
      nicRules, nvidia,
    });
    this.exec = new LxcExecSessions(paths, running, records, new SessionServer(commands, helper.path, logger), logger);
    this.logs = new LxcInstanceLogs(paths, helper, running);
  }

  /** Makes what is missing and takes up what runs. Call it once, before the ports are used. */
  async open(): Promise<void> {
    const { paths } = this;
    for (const [path, mode] of [[paths.run, 0o711], [paths.lxcPath, 0o711], [paths.state.devlxd, 0o755], [paths.syscallSettingsDirectory, 0o700]] as const) {
      mkdirSync(path, { recursive: true, mode });
      const status = lstatSync(path);
      if (!status.isDirectory() || status.uid !== 0) throw invalid(`${path} is not root's own directory: refusing to work through it`);
    }
    makePlainIdMaps(paths.plainIdMaps);
    this.records.load();
    this.fifo.open();
    await this.running.adopt();
    this.exec.adopt();
    this.files.open();
    for (const service of this.helpers) service.open();
    await this.devices.adopt(this.watch);
  }

  /** Running containers whose specification is known. */
  private deviceHosts(): DeviceHost[] {
    return this.running.all().flatMap(({ projectName, record, ending }) => {
      const spec = this.records.get(projectName)?.spec;
      return spec && ending === null ? [{ spec, ...record }] : [];
    });
  }

  /** Lets go of everything; containers and commands run on. Where nothing runs, no cgroup stays. */
  close(): void {
    if (this.running.names().length === 0) this.cgroups.removeRoot();
    this.devices.close();
    this.fifo.close();
    for (const service of this.helpers) service.close();
    this.running.close();
    this.files.close();
    this.exec.close();
    this.netlink.close();
    // Only where it lies outside the state directory, and only when nothing is in it.
    if (!this.paths.run.startsWith(this.paths.state.root) && this.records.names().length === 0) rmSync(this.paths.run, { recursive: true, force: true });
  }
}
