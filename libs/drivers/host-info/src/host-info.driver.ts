import { hostname, machine } from 'node:os';
import { invalid, messageOf, type StateDirectory } from '#kernel';
import { HostInfo, type HostDescription } from '#ports';
import type { CommandRunner, LxcLibrary, RoostHelper } from '#host';
import { readGpus, readNetworkCards } from './card-resources.js';
import { readCpu } from './cpu-resources.js';
import { architecturesOf, kernelFeatures, parseOsRelease, rootIdmap } from './kernel-facts.rules.js';
import { meminfo, readMemory } from './memory-resources.js';
import { PciNames } from './pci-names.js';
import { readPci } from './pci-resources.js';
import { readStorage } from './storage-resources.js';
import { parseNumberList, Sysfs } from './sysfs.js';
import { readSystem } from './system-resources.js';
import { readUsb } from './usb-resources.js';

export interface LinuxHostInfoOptions {
  readonly commands: CommandRunner;
  readonly lxc: LxcLibrary;
  readonly helper: RoostHelper;
  readonly state: StateDirectory;
  /** `nftables`: the name of the firewall driver in use. */
  readonly firewall: string;
  readonly sysfs?: Sysfs;
}

/** Facts about this host, read from /proc, /sys and /etc at each call but for what cannot change while it is up. */
export class LinuxHostInfo extends HostInfo {
  private readonly sys: Sysfs;
  private idmappedMounts: Promise<boolean> | undefined;
  private names: Promise<PciNames> | undefined;

  constructor(private readonly options: LinuxHostInfoOptions) {
    super();
    this.sys = options.sysfs ?? new Sysfs();
  }

  override async describeHost(): Promise<HostDescription> {
    const { sys } = this;
    const { lxc, firewall } = this.options;
    const text = (path: string): Promise<string> => sys.text(path);
    const [release, actions, fileSystems, os, subuid, subgid, memory, online, type] = await Promise.all([
      text('/proc/sys/kernel/osrelease'), text('/proc/sys/kernel/seccomp/actions_avail'), text('/proc/filesystems'), text('/etc/os-release'),
      text('/etc/subuid'), text('/etc/subgid'), text('/proc/meminfo'), text('/sys/devices/system/cpu/online'), text('/proc/sys/kernel/ostype'),
    ]);
    const names = parseOsRelease(os);
    return {
      hostname: hostname(), kernel: type, kernelVersion: release, kernelArchitecture: machine(),
      osName: names.get('NAME') ?? '', osVersion: names.get('VERSION_ID') ?? '', architectures: architecturesOf(machine()),
      kernelFeatures: kernelFeatures(release, actions.split(' '), fileSystems.split(/\s+/)), lxcFeatures: lxc.features(), lxcVersion: lxc.version(),
      firewall, idmap: rootIdmap(subuid, subgid), cpuCount: parseNumberList(online).length, memoryBytes: meminfo(memory).get('MemTotal') ?? 0,
      idmappedMounts: await this.canIdmapMounts(),
    };
  }

  override async describeResources(): Promise<Record<string, unknown>> {
    const { sys } = this;
    this.names ??= PciNames.read(sys);
    const names = await this.names;
    const [cpu, memory, gpu, network, storage, usb, pci, system] = await Promise.all([
      readCpu(sys, machine()), readMemory(sys), readGpus(sys, names), readNetworkCards(sys, names), readStorage(sys, names), readUsb(sys), readPci(sys, names),
      readSystem(sys),
    ]);
    return { cpu, memory, gpu, network, storage, usb, pci, system };
  }

  override async loadKernelModules(names: readonly string[]): Promise<void> {
    for (const name of names.map((one) => one.trim()).filter((one) => one !== '')) {
      if (!/^[\w-]+$/.test(name)) throw invalid(`Failed to load kernel module '${name}': Invalid name`);
      if (await this.sys.exists(`/sys/module/${name.replaceAll('-', '_')}`)) continue;
      try {
        await this.options.commands.run({ argv: ['modprobe', '-b', '--', name] });
      } catch (error) {
        throw invalid(`Failed to load kernel module '${name}': ${messageOf(error)}`, { cause: error });
      }
    }
  }

  /** Tried once on the file system that holds the state directory: the kernel can, but not every file system. */
  private canIdmapMounts(): Promise<boolean> {
    const { helper, state } = this.options;
    this.idmappedMounts ??= helper.canIdmap(state.root).catch(() => false);
    return this.idmappedMounts;
  }
}
