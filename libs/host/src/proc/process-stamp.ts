import { closeSync, readFileSync } from 'node:fs';
import { readKernelFile } from '../cgroup/cgroup-files.js';
import { openPidfd, signalPidfd } from '../syscalls/syscalls.js';

/** A process that cannot be mistaken for a later one with its number. */
export interface ProcessStamp {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process (field 22 of /proc/PID/stat). */
  readonly startTicks: number;
}

export interface ProcessStat extends ProcessStamp {
  /** `R`, `S`, `D`, `Z`, ... */
  readonly state: string;
  readonly parent: number;
}

/** Parses /proc/PID/stat; the name in parentheses may hold anything. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid: Number.parseInt(text, 10), state: fields[0] ?? '', parent: Number(fields[1]), startTicks: Number(fields[19]) };
}

/** Null when there is no such process. A zombie is one: it holds its number. */
export function readProcessStat(pid: number): ProcessStat | null {
  const text = readKernelFile(`/proc/${pid}/stat`);
  return text === null ? null : parseProcessStat(text);
}

/** Whether exactly this process runs. A zombie does not. */
export function isAlive(identity: ProcessStamp): boolean {
  const stat = readProcessStat(identity.pid);
  return stat !== null && stat.startTicks === identity.startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

/** Signals exactly this process, never one that got its number later. False when it is gone. */
export function signalProcess(identity: ProcessStamp, signal: number): boolean {
  const fd = openPidfd(identity.pid);
  if (fd === null) return false;
  try {
    return readProcessStat(identity.pid)?.startTicks === identity.startTicks && signalPidfd(fd, signal);
  } finally {
    closeSync(fd);
  }
}

/** Pid as the innermost namespace counts it: 1 for the init of a container. */
export function innermostPid(pid: number): number | null {
  return Number(readStatusField(pid, 'NSpid')?.split(/\s+/).at(-1) ?? Number.NaN) || null;
}

/** One line of /proc/PID/status, or null. */
export function readStatusField(pid: number, field: string): string | null {
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(readKernelFile(`/proc/${pid}/status`) ?? '')?.[1] ?? null;
}

/** Ticks of the clock /proc counts in; fixed at 100 for user space on every architecture we run on. */
const ticksPerSecond = 100;

/** When the process started, by the wall clock: /proc/stat `btime` plus its start. */
export function startedAt(identity: ProcessStamp): Date {
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? 0);
  return new Date(boot * 1000 + (identity.startTicks * 1000) / ticksPerSecond);
}

