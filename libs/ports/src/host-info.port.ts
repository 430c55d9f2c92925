import type { IdmapEntry } from './instance.port.js';

/** Facts about this host for `GET /1.0`. Feature maps hold `true`/`false` as text, as on the wire. */
export interface HostDescription {
  readonly hostname: string;
  readonly kernel: string;
  readonly kernelVersion: string;
  readonly kernelArchitecture: string;
  readonly osName: string;
  readonly osVersion: string;
  /** Architectures this host can run, native first, by LXD name (`x86_64`, `i686`). */
  readonly architectures: string[];
  readonly kernelFeatures: Readonly<Record<string, string>>;
  readonly lxcFeatures: Readonly<Record<string, string>>;
  readonly lxcVersion: string;
  readonly firewall: string;
  /** Ids root may hand to containers, from /etc/subuid and /etc/subgid or the default 1000000:1000000000. */
  readonly idmap: IdmapEntry[];
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** Whether idmapped mounts work on the state directory's file system. */
  readonly idmappedMounts: boolean;
}

export abstract class HostInfo {
  abstract describeHost(): Promise<HostDescription>;
  /** `GET /1.0/resources` as LXD's wire shape, read from /sys and /proc. */
  abstract describeResources(): Promise<Record<string, unknown>>;
  /** Loads kernel modules; `invalid` naming the one that cannot be loaded. */
  abstract loadKernelModules(names: readonly string[]): Promise<void>;
}
