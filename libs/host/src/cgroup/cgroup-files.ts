import { closeSync, openSync, readdirSync, readSync, rmdirSync, writeFileSync } from 'node:fs';

const buffer = Buffer.allocUnsafeSlow(64 * 1024);

/** A control file's text without its final newline; null when it (or its cgroup) is not there. */
export function readCgroupFile(path: string): string | null {
  const text = readKernelFile(path);
  return text !== null && text.endsWith('\n') ? text.slice(0, -1) : text;
}

/** A file of /proc or /sys in one read, up to 64 KiB; half the cost of node's readFileSync. Null when it is not there. */
export function readKernelFile(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return null; // What it tells of has gone between open and read.
  } finally {
    closeSync(fd);
  }
}

/** A number from a control file; `max` and an absent file are null. */
export function readCgroupNumber(path: string): number | null {
  const text = readCgroupFile(path);
  const value = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? null : value;
}

/** `key value` lines as in memory.stat, cpu.stat, memory.events. */
export function parseFlatKeys(text: string | null): Record<string, number> {
  const values: Record<string, number> = {};
  for (const line of (text ?? '').split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) values[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return values;
}

/** Throws node's error (`EBUSY`, `EINVAL`, `ENOENT`) when the kernel refuses the value. */
export function writeCgroupFile(path: string, value: string): void {
  writeFileSync(path, value, { flag: 'r+' });
}

/** Host pids in this cgroup itself; none when it is absent. Pids of other pid namespaces show as 0 and are left out. */
export function listProcesses(directory: string): number[] {
  return (readCgroupFile(`${directory}/cgroup.procs`) ?? '').split('\n').map(Number).filter((pid) => pid > 0);
}

function listChildren(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${directory}/${entry.name}`);
  } catch {
    return [];
  }
}

/** Host pids in this cgroup and all below. */
export function listProcessesBelow(directory: string): number[] {
  return [...listProcesses(directory), ...listChildren(directory).flatMap(listProcessesBelow)];
}

/** Removes a cgroup with its empty children; false when something still runs in it. Absent is success. */
export function removeCgroup(directory: string): boolean {
  let removed = true;
  for (const child of listChildren(directory)) removed = removeCgroup(child) && removed;
  try {
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') removed = false;
  }
  return removed;
}

/** Names of the cgroups directly below. */
export function listCgroups(directory: string): string[] {
  return listChildren(directory).map((path) => path.slice(directory.length + 1));
}

/** `0-1,3` to [0, 1, 3], as cpuset files and `limits.cpu` write it; null for text of another form. */
export function parseCpuList(text: string): number[] | null {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const [, first, last] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (first === undefined || Number(last ?? first) < Number(first)) return null;
    for (let cpu = Number(first); cpu <= Number(last ?? first); cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}
