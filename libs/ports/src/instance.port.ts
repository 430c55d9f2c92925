import type { InterfaceState } from './network.port.js';
import type { VolumeSpec } from './storage.port.js';

/** A range of ids mapped into a user namespace. */
export interface IdmapEntry {
  readonly isUid: boolean;
  readonly isGid: boolean;
  readonly hostId: number;
  readonly nsId: number;
  readonly range: number;
}

export interface DeviceSpec {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  /** Of a disk in a restricted project: the directory of the host that its source must lie in, whatever links say. Empty or absent: anywhere. */
  readonly restrictedParent?: string;
}

/** What the driver must know of the network behind a NIC; empty texts where it is not managed. */
export interface NicNetwork {
  readonly device: string;
  /** Bridge (or other parent) in the host's namespace. */
  readonly parent: string;
  /** Managed network's name, or empty. */
  readonly network: string;
  /** The network's own configuration (`bridge.mtu`, `ipv4.address`, ...). */
  readonly networkConfig: Readonly<Record<string, string>>;
}

/** The custom volume behind a disk device. */
export interface DiskVolume {
  readonly device: string;
  readonly volume: VolumeSpec;
  /** Show its files with the instance's ids; otherwise with those on disk. */
  readonly mapped: boolean;
}

/**
 * Everything the host needs to run an instance. `config` and `devices` are expanded (profiles applied) and validated; `volatile.*` included.
 * `projectName` is unique on the member: `c1`, or `web_c1` outside the default project; it names files, cgroups and the LXC container.
 */
export interface InstanceSpec {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly projectName: string;
  readonly type: 'container' | 'virtual-machine';
  /** LXD name, `x86_64`. */
  readonly architecture: string;
  readonly ephemeral: boolean;
  readonly config: Readonly<Record<string, string>>;
  readonly devices: DeviceSpec[];
  readonly nics: NicNetwork[];
  /** One for each disk device that names a volume that is there. */
  readonly volumes: DiskVolume[];
  readonly rootVolume: VolumeSpec;
  /** Empty for a privileged container. */
  readonly idmap: IdmapEntry[];
  /** Raised by every change of location (hazards B1); the agent refuses one lower than it has seen. */
  readonly placementEpoch: number;
}

/** Keys for `volatile.*` the host decided; an empty value unsets the key. */
export interface VolatileChange {
  readonly volatile: Readonly<Record<string, string>>;
}

export interface StartResult extends VolatileChange {
  readonly pid: number;
}

export interface StartInstanceOptions {
  readonly restoreState?: boolean;
}

export interface StopRequest {
  readonly projectName: string;
  /** False: SIGKILL at once. True: ask init, wait, and fail with `unavailable` when time is over. */
  readonly clean: boolean;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
}

export type PowerState = 'Running' | 'Stopped' | 'Frozen';

export interface InstanceStatus {
  readonly projectName: string;
  readonly power: PowerState;
  /** Host pid of init, 0 when stopped. */
  readonly pid: number;
  /** ISO time init was started, empty when stopped. */
  readonly startedAt: string;
}

/** Counters for `GET /1.0/instances/{name}/state` and `/1.0/metrics`. Nothing here costs a process. */
export interface InstanceUsage {
  readonly projectName: string;
  readonly power: PowerState;
  readonly pid: number;
  /** Number of tasks. */
  readonly processes: number;
  /** Nanoseconds of CPU time since start. */
  readonly cpuUsageNs: number;
  /** Of each CPU of the host where the kernel tells them apart, else all as CPU 0. */
  readonly cpuTimes: CpuTimes[];
  readonly effectiveCpus: number;
  readonly memoryUsageBytes: number;
  readonly memoryUsagePeakBytes: number;
  readonly memoryTotalBytes: number;
  readonly swapUsageBytes: number;
  readonly swapUsagePeakBytes: number;
  /** Fields of memory.stat in bytes under the kernel's names, for metrics. */
  readonly memoryStat: Readonly<Record<string, number>>;
  readonly oomKills: number;
  readonly interfaces: InterfaceState[];
  /** Root file system: bytes used (-1 unknown) and quota. */
  readonly disks: DiskUsage[];
  /** Block I/O per device for metrics. */
  readonly io: IoCounters[];
}

/** Nanoseconds one CPU spent on an instance. */
export interface CpuTimes {
  readonly cpu: number;
  readonly userNs: number;
  readonly systemNs: number;
}

export interface DiskUsage {
  readonly device: string;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

export interface IoCounters {
  readonly device: string;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** Told by the host when it happens: an init is gone or asked for a reboot. `target` says what the LXC hook reported. */
export interface InstanceEvent {
  readonly projectName: string;
  readonly event: 'stopped' | 'rebooting' | 'started';
  readonly pid: number;
}

/**
 * Instances on this host. Every method is safe to repeat. Whether an instance runs is decided by its init (pid and start time) and by its
 * payload cgroup, never by the monitor's word (hazards B2). Errors: `not-found`, `conflict` when it runs (or does not) against
 * expectation, `unavailable` for a time-out, `invalid` for a specification the host cannot satisfy.
 */
export abstract class InstanceDriver {
  /** Links, log directory and device directory of an instance whose root volume exists. */
  abstract createInstance(spec: InstanceSpec): Promise<void>;
  /** With `restoreState`, what `InstanceCheckpoints` wrote goes on; what was written stays. */
  abstract startInstance(spec: InstanceSpec, options?: StartInstanceOptions): Promise<StartResult>;
  abstract stopInstance(request: StopRequest): Promise<void>;
  abstract freezeInstance(projectName: string): Promise<void>;
  abstract unfreezeInstance(projectName: string): Promise<void>;
  /** Applies a changed specification to a running or stopped instance, or fails with what was before still in force. */
  abstract updateInstance(before: InstanceSpec, after: InstanceSpec): Promise<VolatileChange>;
  /** Of a stopped instance, after its root volume was renamed. */
  abstract renameInstance(before: InstanceSpec, after: InstanceSpec): Promise<void>;
  /** Removes all traces on the host but the volume: links, logs, devices, cgroups, veths. A running one is a `conflict`. */
  abstract destroyInstance(projectName: string): Promise<void>;
  /** Status of those named, or of all known to the host when the list is empty. */
  abstract describeStatus(projectNames: readonly string[]): Promise<InstanceStatus[]>;
  /** Usage of those named. `root` volumes are needed for disk usage; order follows the request. */
  abstract describeUsage(requests: readonly UsageRequest[]): Promise<InstanceUsage[]>;
  /** Events from now on until the signal aborts; reconciled after an agent restart. */
  abstract watchInstances(signal: AbortSignal): AsyncIterable<InstanceEvent>;
}

export interface UsageRequest {
  readonly projectName: string;
  readonly rootVolume: VolumeSpec;
  /** Root device's name, for the key in the answer. */
  readonly rootDevice: string;
}

/** Which streams of a command have an end outside; the others are /dev/null. */
export type ExecEnds = 'all' | 'output' | 'none';

export interface ExecRequest {
  readonly projectName: string;
  readonly command: string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: number;
  readonly group: number;
  readonly cwd: string;
  /** A terminal, which stands for all three streams. */
  readonly interactive: boolean;
  readonly ends: ExecEnds;
  /** Columns and rows of the terminal, 0 for the default. */
  readonly width: number;
  readonly height: number;
  /** uid and gid that may open the stream endpoints: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

export interface ConsoleRequest {
  readonly projectName: string;
  /** Columns and rows of the terminal, 0 for the default. */
  readonly width: number;
  readonly height: number;
  /** uid and gid that may open the stream endpoint: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

/**
 * Endpoints of a started command. Non-interactive: up to three FIFOs to open directly (no byte passes the agent), and a gate, a FIFO to open for
 * writing and close again once they are: the command waits for that. Interactive: one unix socket carrying the terminal's bytes both ways.
 * Paths of what is not there are empty. They disappear with `waitExec`.
 */
export interface ExecStarted {
  readonly sessionId: string;
  readonly stdinPath: string;
  readonly stdoutPath: string;
  readonly stderrPath: string;
  readonly terminalPath: string;
  readonly gatePath: string;
}

/** Commands run inside an instance. Signals reach the process inside, not the attach tool (hazards E2). */
export abstract class ExecSessions {
  abstract startExec(request: ExecRequest): Promise<ExecStarted>;
  /**
   * Attaches to the console; only `terminalPath` is set. Ends when the socket is closed, with any signal, or with the instance.
   * `waitExec` rejects when the console is taken: there is one client at a time.
   */
  abstract startConsole(request: ConsoleRequest): Promise<ExecStarted>;
  abstract resizeExec(sessionId: string, width: number, height: number): Promise<void>;
  abstract signalExec(sessionId: string, signal: number): Promise<void>;
  /** Exit code as a shell reports it (128 + signal for a killed one); 126/127 for a command that cannot be run. */
  abstract waitExec(sessionId: string, signal: AbortSignal): Promise<number>;
}

/** Log files of an instance. The daemon reads them itself; only changes need the agent. */
export abstract class InstanceLogs {
  abstract deleteLog(projectName: string, file: string): Promise<void>;
  abstract clearConsoleLog(projectName: string): Promise<void>;
  /** The console's ring buffer or file, at most 1 MiB. */
  abstract readConsoleLog(projectName: string): Promise<Uint8Array>;
}
