import type { StateDirectory } from '#kernel';

/**
 * LXC's command socket is an abstract one named after this path's text, and the terminal of an exec session is a socket below it:
 * both must fit into 107 bytes (hazards B3).
 */
const longestLxcPath = 79;

/**
 * Where the driver keeps things. All of it is root's own. `stateId` tells members of one host apart in everything that is named
 * globally: LXC's command sockets, and cgroups (hazards B3, B4).
 */
export class LxcPaths {
  readonly run: string;
  /** Sessions make and remove half a dozen small files each, which a journalling file system turns into milliseconds: in memory where possible. */
  readonly sessionRun: string;

  /** `memory` is a directory in memory of this member alone, if the host has one. */
  constructor(readonly state: StateDirectory, readonly stateId: string, memory: string | null = null) {
    this.run = `${state.run}/lxc-${stateId}`.length <= longestLxcPath ? state.run : `/run/roost-${stateId}`;
    this.sessionRun = memory ?? this.run;
  }

  /** Always passed to LXC byte for byte the same. */
  get lxcPath(): string { return `${this.run}/lxc-${this.stateId}`; }
  /** LXC finds a container's configuration here: a link to the one below `logs/`, where administrators look. */
  containerDirectory(projectName: string): string { return `${this.lxcPath}/${projectName}`; }
  /** What we know of each local instance, kept for a restart. */
  get records(): string { return `${this.run}/instances`; }
  record(projectName: string): string { return `${this.records}/${projectName}.json`; }
  /** LXC's hooks write here. */
  get hookFifo(): string { return `${this.run}/hooks`; }
  get execs(): string { return `${this.sessionRun}/exec`; }
  /** First in the search path of `lxc-start`. */
  get plainIdMaps(): string { return `${this.run}/plain-id-maps`; }
  /** Sockets of servers of files. */
  get files(): string { return `${this.sessionRun}/files`; }
  exec(sessionId: string): string { return `${this.execs}/${sessionId}`; }

  /** LXC's monitors bring calls of their containers here. */
  get syscallSocket(): string { return `${this.run}/syscalls.socket`; }
  get syscallSettingsDirectory(): string { return `${this.run}/syscalls`; }
  /** What may be done for a container that it may not do itself. */
  syscallSettings(projectName: string): string { return `${this.syscallSettingsDirectory}/${projectName}`; }

  logs(projectName: string): string { return this.state.logs(projectName); }
  config(projectName: string): string { return `${this.logs(projectName)}/lxc.conf`; }
  log(projectName: string): string { return `${this.logs(projectName)}/lxc.log`; }
  consoleLog(projectName: string): string { return `${this.logs(projectName)}/console.log`; }
  devices(projectName: string): string { return `${this.state.devices}/${projectName}`; }
  seccomp(projectName: string): string { return `${this.state.root}/security/seccomp/${projectName}`; }
  /** LXC locks a container by a file below /run/lxc/lock. */
  lockDirectory(): string { return `/run/lxc/lock${this.lxcPath}`; }

  /** Parent of all cgroups of this member, relative to each hierarchy. */
  get cgroupRoot(): string { return `roost-${this.stateId}`; }
  cgroup(projectName: string): string { return `${this.cgroupRoot}/${projectName}`; }
  payloadCgroup(projectName: string): string { return `${this.cgroup(projectName)}/payload`; }
  monitorCgroup(projectName: string): string { return `${this.cgroup(projectName)}/monitor`; }
  /** Where the monitor is in its last moments; below the container's own, so that it is waited for. */
  pivotCgroup(projectName: string): string { return `${this.cgroup(projectName)}/pivot`; }
}
