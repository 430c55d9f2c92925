import { open, stat, truncate } from 'node:fs/promises';
import { invalid } from '#kernel';
import { errnoName } from '../ioctl/ioctl.js';

/** Sizes of disks are rounded up to this, as in LXD. */
const granuleBytes = 8192;

/** The one file of a block volume, as LXD names it. */
export function blockFile(volume: string): string {
  return `${volume}/root.img`;
}

/** Makes the disk, or makes it larger; it takes no space before it is written. @throws `invalid` where it would get smaller, in LXD's words. */
export async function sizeBlockFile(volume: string, sizeBytes: number): Promise<void> {
  const path = blockFile(volume);
  const wanted = Math.ceil(sizeBytes / granuleBytes) * granuleBytes;
  const found = await stat(path).catch((error: unknown) => {
    if (errnoName(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) await (await open(path, 'wx', 0o600)).close();
  else if (found.size > wanted) throw invalid('Block volumes cannot be shrunk: Cannot be shrunk');
  await truncate(path, wanted);
}

/** Bytes of the disk. */
export async function blockFileBytes(volume: string): Promise<number> {
  return (await stat(blockFile(volume))).size;
}
