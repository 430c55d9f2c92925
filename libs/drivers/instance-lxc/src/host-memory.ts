import { readFileSync } from 'node:fs';

/** Memory of this host in bytes, from /proc/meminfo. */
export function memoryTotalBytes(): number {
  return Number(/^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
}
