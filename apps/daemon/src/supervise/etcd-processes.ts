import { readdirSync, readFileSync, statSync } from 'node:fs';
import { namespaceInode } from './agent-supervisor.js';
import { startTicksOf, type FoundProcess } from './processes.js';

export interface FoundEtcd extends FoundProcess {
  /** Without the program's name. */
  readonly arguments: readonly string[];
  readonly sameNetwork: boolean;
}

/**
 * The etcd processes that work in a directory. The directory is told by device and inode of the process's working directory: the same path may be
 * another directory in another mount namespace.
 */
export function findEtcd(dataDirectory: string): FoundEtcd[] {
  const wanted = statSync(dataDirectory, { throwIfNoEntry: false });
  if (!wanted) return [];
  const found: FoundEtcd[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const process = describe(Number(name), wanted);
    if (process !== null) found.push(process);
  }
  return found;
}

function describe(pid: number, directory: { dev: number; ino: number }): FoundEtcd | null {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'latin1') !== 'etcd\n') return null;
    const cwd = statSync(`/proc/${pid}/cwd`);
    if (cwd.dev !== directory.dev || cwd.ino !== directory.ino) return null;
    const startTicks = startTicksOf(pid);
    if (startTicks === null) return null;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return { pid, startTicks, arguments: words.slice(1, -1), sameNetwork: statSync(`/proc/${pid}/ns/net`).ino === namespaceInode('net') };
  } catch {
    // Ended meanwhile, or another user's: then its files are not ours to use either.
    return null;
  }
}
