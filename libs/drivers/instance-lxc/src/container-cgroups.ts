import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  expectCgroupMoves, hierarchies, innermostPid, listCgroups, listProcessesBelow, parseProcessCgroups, readCgroupFile, readProcessStat, removeCgroup, signalProcess,
  writeCgroupFile, type CgroupDirectories, type CgroupLayout,
} from '#host';
import type { LxcPaths } from './lxc-paths.js';

const SIGKILL = 9;
const monitorPatienceMs = 5000;

/** The cgroups of this member's containers, in all hierarchies of the host. */
export class ContainerCgroups {
  constructor(private readonly paths: LxcPaths, readonly layout: CgroupLayout) {}

  /** Hierarchy that tells who belongs to a container: any does, the unified one is asked where nothing else is. */
  private get membership(): string {
    return this.layout.v1.get('freezer') ?? this.layout.v1.get('pids') ?? this.layout.v1.values().next().value ?? this.layout.v2;
  }

  /** A container is about to be started: LXC will move processes between cgroups. */
  expectMoves(): void {
    const own = parseProcessCgroups(readFileSync('/proc/self/cgroup', 'utf8'), this.layout);
    const [directory] = Object.values(own);
    if (directory !== undefined) expectCgroupMoves(directory);
  }

  /** Host pids in the payload, whatever LXC made of its name (`payload-1` where another was in the way). */
  payloadPids(projectName: string): number[] {
    const directory = `${this.membership}/${this.paths.cgroup(projectName)}`;
    return listCgroups(directory).filter((name) => /^payload(-\d+)?$/.test(name)).flatMap((name) => listProcessesBelow(`${directory}/${name}`));
  }

  /** The first process of the container: the one that is 1 in a pid namespace right below ours. Null when nothing runs. */
  findInit(projectName: string): number | null {
    const pids = this.payloadPids(projectName);
    const inside = new Set(pids);
    // Nested containers have a process 1 too; theirs has its parent in this payload.
    return pids.find((pid) => innermostPid(pid) === 1 && !inside.has(readProcessStat(pid)?.parent ?? 0)) ?? null;
  }

  /** Control directories of the payload that `init` is in, cut off where the container moved it further down. */
  directoriesOf(init: number): CgroupDirectories {
    const all = parseProcessCgroups(readFileSync(`/proc/${init}/cgroup`, 'utf8'), this.layout);
    return Object.fromEntries(Object.entries(all).flatMap(([controller, directory]) => {
      const [payload] = /^.*\/roost-[^/]+\/[^/]+\/payload(-\d+)?(?=\/|$)/.exec(directory) ?? [];
      return payload === undefined ? [] : [[controller, payload]];
    }));
  }

  /** Kills everything in the payload that is left. True when nothing is. */
  killAll(projectName: string): boolean {
    const pids = this.payloadPids(projectName);
    for (const pid of pids) {
      const stat = readProcessStat(pid);
      if (stat !== null) signalProcess(stat, SIGKILL);
    }
    return pids.length === 0;
  }

  /** Names with something running in their payload. */
  listRunning(): string[] {
    return listCgroups(`${this.membership}/${this.paths.cgroupRoot}`).filter((name) => this.payloadPids(name).length > 0);
  }

  /** Removes what LXC left; false when something still runs in it. */
  remove(projectName: string): boolean {
    return hierarchies(this.layout).map((mount) => removeCgroup(`${mount}/${this.paths.cgroup(projectName)}`)).every(Boolean);
  }

  /** Removes them once LXC's monitor, which is the last in them, has ended; gives up after five seconds. */
  async removeWhenEmpty(projectName: string): Promise<void> {
    const deadline = performance.now() + monitorPatienceMs;
    for (let pause = 1; !this.remove(projectName) && performance.now() < deadline; pause = Math.min(pause * 1.5, 50)) await sleep(pause);
  }

  /** Of the whole member, when it has no containers left. */
  removeRoot(): void {
    for (const mount of hierarchies(this.layout)) removeCgroup(`${mount}/${this.paths.cgroupRoot}`);
  }

  /** Freezes or thaws; asks again with `isFrozen`. */
  setFrozen(cgroups: CgroupDirectories, frozen: boolean): void {
    if (cgroups['freezer'] !== undefined) writeCgroupFile(`${cgroups['freezer']}/freezer.state`, frozen ? 'FROZEN' : 'THAWED');
    else writeCgroupFile(`${cgroups['']}/cgroup.freeze`, frozen ? '1' : '0');
  }

  isFrozen(cgroups: CgroupDirectories): boolean {
    if (cgroups['freezer'] !== undefined) return readCgroupFile(`${cgroups['freezer']}/freezer.state`) === 'FROZEN';
    return /^frozen 1$/m.test(readCgroupFile(`${cgroups['']}/cgroup.events`) ?? '');
  }
}
