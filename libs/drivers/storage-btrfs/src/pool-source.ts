import { stat, statfs } from 'node:fs/promises';
import { invalid, parseByteSize, type StateDirectory } from '#kernel';
import type { PoolSpec } from '#ports';

const btrfsMagic = 0x9123683e;
const gib = 2 ** 30;
const loopSizeBytesMin = 5 * gib;
const loopSizeBytesMax = 30 * gib;
const loopShareOfFree = 0.2;

/** Where a pool's data lies. */
export type PoolSource =
  | { readonly kind: 'loop'; readonly path: string }
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string };

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function loopFile(state: StateDirectory, pool: string): string {
  return `${state.disks}/${pool}.img`;
}

/** Reads `source`: nothing or the pool's own file is a loop file, a device or a file system's UUID a device, all else a directory. */
export async function poolSource(state: StateDirectory, pool: PoolSpec): Promise<PoolSource> {
  const source = pool.config['source'] ?? '';
  const file = loopFile(state, pool.name);
  if (source === '' || source === file) return { kind: 'loop', path: file };
  if (uuidPattern.test(source)) return { kind: 'device', path: `UUID=${source}` };
  const found = await stat(source).catch(() => undefined);
  return { kind: found?.isBlockDevice() ? 'device' : 'directory', path: source };
}

export async function isOnBtrfs(path: string): Promise<boolean> {
  return (await statfs(path).catch(() => undefined))?.type === btrfsMagic;
}

/** Size of a loop file: as given, or a fifth of what is free, between 5 and 30 GiB, in whole GiB. */
export async function loopSize(state: StateDirectory, given: string | undefined): Promise<string> {
  if (given !== undefined && given !== '') {
    if (parseByteSize(given) === 0) throw invalid(`Invalid value: ${given}`);
    return given;
  }
  const fs = await statfs(state.disks);
  // Blocks reserved for root count as free, as with LXD: it is root that writes.
  return defaultLoopSize(fs.bfree * fs.bsize);
}

export function defaultLoopSize(freeBytes: number): string {
  const bytes = Math.min(Math.max(freeBytes * loopShareOfFree, loopSizeBytesMin), loopSizeBytesMax);
  return `${Math.floor(bytes / gib)}GiB`;
}
