import { readFileSync } from 'node:fs';

let total: number | undefined;

/** Memory of this host in bytes, from /proc/meminfo; read once, for lists ask it for each container. */
export function memoryTotalBytes(): number {
  total ??= Number(/^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
  return total;
}
