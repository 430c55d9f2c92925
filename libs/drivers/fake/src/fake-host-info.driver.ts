import { invalid } from '#kernel';
import { HostInfo, type HostDescription } from '#ports';
import { FakeFaults } from './fake-faults.js';

/** A small 64-bit host with two CPUs and 4 GiB. Change `description` to pretend another. */
export class FakeHostInfo extends HostInfo {
  readonly loadedModules = new Set<string>();
  /** Modules that exist; null for all. */
  availableModules: ReadonlySet<string> | null = null;
  description: HostDescription = {
    hostname: 'fake', kernel: 'Linux', kernelVersion: '6.1.0', kernelArchitecture: 'x86_64', osName: 'Debian GNU/Linux', osVersion: '12',
    architectures: ['x86_64', 'i686'],
    kernelFeatures: {
      idmapped_mounts: 'true', netnsid_getifaddrs: 'true', seccomp_listener: 'true', seccomp_listener_continue: 'true', shiftfs: 'false',
      uevent_injection: 'true', unpriv_fscaps: 'true',
    },
    lxcFeatures: { cgroup2: 'true', pidfd: 'true' }, lxcVersion: '5.0.2', firewall: 'nftables',
    idmap: [
      { isUid: true, isGid: false, hostId: 1_000_000, nsId: 0, range: 1_000_000_000 },
      { isUid: false, isGid: true, hostId: 1_000_000, nsId: 0, range: 1_000_000_000 },
    ],
    cpuCount: 2, memoryBytes: 4 * 2 ** 30, idmappedMounts: true,
  };

  constructor(private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async describeHost(): Promise<HostDescription> {
    await this.faults.enter('host.describeHost');
    return this.description;
  }

  override async describeResources(): Promise<Record<string, unknown>> {
    await this.faults.enter('host.describeResources');
    const threads = (id: number): object[] => [{ id, numa_node: 0, thread: 0, online: true, isolated: false }];
    const cores = Array.from({ length: this.description.cpuCount }, (_, core) => ({ core, die: 0, threads: threads(core) }));
    const total = this.description.memoryBytes;
    return {
      cpu: { architecture: 'x86_64', sockets: [{ name: 'Fake CPU', vendor: 'Fake', socket: 0, cache: [], cores }], total: cores.length },
      memory: { nodes: [], hugepages_total: 0, hugepages_used: 0, hugepages_size: 2 ** 21, used: total / 4, total },
      gpu: { cards: [], total: 0 }, network: { cards: [], total: 0 }, storage: { disks: [], total: 0 }, usb: { devices: [], total: 0 }, pci: { devices: [], total: 0 },
      system: { uuid: '', vendor: 'Fake', product: '', family: '', version: '', sku: '', serial: '', type: 'virtual-machine', firmware: null, chassis: null, motherboard: null },
    };
  }

  override async loadKernelModules(names: readonly string[]): Promise<void> {
    await this.faults.enter('host.loadKernelModules');
    for (const name of names) {
      if (this.availableModules !== null && !this.availableModules.has(name)) throw invalid(`Failed to load kernel module '${name}'`);
      this.loadedModules.add(name);
    }
  }
}
