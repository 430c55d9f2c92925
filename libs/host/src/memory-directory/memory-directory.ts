import { lstatSync, mkdirSync, statfsSync } from 'node:fs';

const tmpfsMagic = 0x01021994;
/** The first is where such things belong; on some hosts it lies on a disk. */
const places = ['/run', '/dev/shm'];

/**
 * A directory of this name in memory, of mode 0711 and root's own; null when the host has no place for it, or somebody else made it. Everybody may
 * write to /dev/shm, so what is found there is looked at.
 */
export function claimMemoryDirectory(name: string, among: readonly string[] = places): string | null {
  for (const place of among) {
    const path = `${place}/${name}`;
    try {
      if (statfsSync(place).type !== tmpfsMagic) continue;
      mkdirSync(path, { recursive: true, mode: 0o711 });
      const status = lstatSync(path);
      if (status.isDirectory() && status.uid === process.getuid?.() && (status.mode & 0o022) === 0) return path;
    } catch {
      // Not there, or not for us.
    }
  }
  return null;
}
