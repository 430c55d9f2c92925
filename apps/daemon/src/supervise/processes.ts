import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for a later one with its number. */
export interface FoundProcess {
  readonly pid: number;
  /** Clock ticks between boot and its start. */
  readonly startTicks: number;
}

/** Null when it has ended; a zombie has. */
export function startTicksOf(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19]);
  } catch {
    return null;
  }
}

export function runs({ pid, startTicks }: FoundProcess): boolean {
  return startTicksOf(pid) === startTicks;
}
