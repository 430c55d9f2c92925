import { hostname, machine, release, type } from 'node:os';
import { invalid, messageOf, type Logger, type StateDirectory } from '#kernel';
import { HostInfo, type HostDescription } from '#ports';
import { CommandNotFoundError, Ethtool, idmappedMountsWork, LxcLibrary, type CommandRunner } from '#host';
import { readCpu } from './cpu-resources.js';
import { DeviceNames } from './device-names.js';
import { readGpus } from './gpu-resources.js';
import { architecturesOf, parseOsRelease, rootIdmap } from './kernel-facts.rules.js';
import { probeKernelFeatures } from './kernel-features.js';
import { meminfo, readMemory } from './memory-resources.js';
import { readNetworkCards, type PortFacts } from './network-resources.js';
import { readPci } from './pci-resources.js';
import { readStorage } from './storage-resources.js';
import { parseNumberList, Sysfs } from './sysfs.js';
import { readSystem } from './system-resources.js';
import { readUsb } from './usb-resources.js';

export interface LinuxHostInfoOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
  /** `nftables`: the name of the firewall driver in use. */
  readonly firewall: string;
  /** Another host to read; this one when absent. */
  readonly sysfs?: Sysfs;
  readonly ports?: PortFacts;
}

/** What cannot change while this process runs. */
interface FixedFacts {
  readonly kernelFeatures: Readonly<Record<string, string>>;
  readonly lxcFeatures: Readonly<Record<string, string>>;
  readonly lxcVersion: string;
  readonly idmappedMounts: boolean;
}

/** Facts about this host, read from /proc, /sys and /etc at each call but for those the kernel had to be probed for. Starts no process but modprobe. */
export class LinuxHostInfo extends HostInfo {
  private readonly sys: Sysfs;
  private readonly ports: PortFacts;
  private fixed: FixedFacts | undefined;
  private pciNames: Promise<DeviceNames> | undefined;
  private usbNames: Promise<DeviceNames> | undefined;

  constructor(private readonly options: LinuxHostInfoOptions) {
    super();
    this.sys = options.sysfs ?? new Sysfs();
    this.ports = options.ports ?? new Ethtool();
  }

  override async describeHost(): Promise<HostDescription> {
    const text = (path: string): Promise<string> => this.sys.text(path);
    const [fileSystems, os, subuid, subgid, memory, online] = await Promise.all([
      text('/proc/filesystems'), text('/etc/os-release'), text('/etc/subuid'), text('/etc/subgid'), text('/proc/meminfo'), text('/sys/devices/system/cpu/online'),
    ]);
    const names = parseOsRelease(os);
    this.fixed ??= this.probe(fileSystems);
    return {
      hostname: hostname(), kernel: type(), kernelVersion: release(), kernelArchitecture: machine(),
      osName: names.get('NAME') ?? '', osVersion: names.get('VERSION_ID') ?? '', architectures: architecturesOf(machine()),
      ...this.fixed, firewall: this.options.firewall, idmap: rootIdmap(subuid, subgid), cpuCount: parseNumberList(online).length,
      memoryBytes: meminfo(memory).get('MemTotal') ?? 0,
    };
  }

  override async describeResources(): Promise<Record<string, unknown>> {
    const { sys } = this;
    this.pciNames ??= DeviceNames.readPci(sys);
    this.usbNames ??= DeviceNames.readUsb(sys);
    const [names, usbNames] = await Promise.all([this.pciNames, this.usbNames]);
    const [cpu, memory, gpu, network, storage, usb, pci, system] = await Promise.all([
      readCpu(sys, machine()), readMemory(sys), readGpus(sys, names), readNetworkCards(sys, names, this.ports), readStorage(sys, names),
      readUsb(sys, usbNames), readPci(sys, names), readSystem(sys),
    ]);
    return { cpu, memory, gpu, network, storage, usb, pci, system };
  }

  override async loadKernelModules(names: readonly string[]): Promise<void> {
    for (const name of names.map((one) => one.trim()).filter((one) => one !== '')) {
      const fail = (why: string, cause?: unknown): Error => invalid(`Failed to load kernel module '${name}': ${why}`, { cause });
      // A name is an argument of modprobe and part of a path here.
      if (!/^\w[\w-]*$/.test(name)) throw fail('Invalid name');
      if (await this.isLoaded(name)) continue;
      try {
        await this.options.command.run({ argv: ['modprobe', '-b', name] });
        this.options.logger.info(`Loaded kernel module ${name}`);
      } catch (error) {
        const missing = error instanceof CommandNotFoundError;
        throw fail(missing ? `Failed to run: modprobe -b ${name}: exec: "modprobe": executable file not found in $PATH` : messageOf(error), error);
      }
    }
  }

  /** Loaded, or part of the kernel itself, which has a directory only for those with parameters. */
  private async isLoaded(name: string): Promise<boolean> {
    const own = name.replaceAll('-', '_');
    if (await this.sys.exists(`/sys/module/${own}`)) return true;
    const builtin = await this.sys.text(`/lib/modules/${release()}/modules.builtin`);
    return builtin.split('\n').some((line) => line.slice(line.lastIndexOf('/') + 1).replace('.ko', '').replaceAll('-', '_') === own);
  }

  private probe(fileSystems: string): FixedFacts {
    const { root } = this.options.state;
    const lxc = new LxcLibrary();
    return {
      kernelFeatures: probeKernelFeatures(fileSystems, root), lxcFeatures: lxc.features(), lxcVersion: lxc.version(), idmappedMounts: idmappedMountsWork(root),
    };
  }
}
