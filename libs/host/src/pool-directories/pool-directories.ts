import { chmod, lchown, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conflict, invalid, notFound } from '#kernel';
import { errnoName } from '../ioctl/ioctl.js';
import { blockFile } from './block-volume.js';

/** Directory of each kind of volume below a pool and its mode, as LXD lays pools out. */
const kindDirectories: Readonly<Record<string, number>> = {
  containers: 0o711,
  'containers-snapshots': 0o711,
  custom: 0o700,
  'custom-snapshots': 0o700,
  images: 0o700,
  'virtual-machines': 0o700,
  'virtual-machines-snapshots': 0o700,
};

const volumeKinds: Readonly<Record<string, string>> = {
  container: 'containers', 'virtual-machine': 'virtual-machines', image: 'images', custom: 'custom',
};

export const poolMode = 0o711;
/** Below this prefix are half-made and half-deleted volumes; no volume's name starts with a dot. */
const scratchPrefix = '.roost-';
/** What a volume held before a restore that is not settled yet; unlike scratch it is kept over a crash. */
const formerPrefix = '.former-';
/** A snapshot set aside likewise, while it is not sure yet that it goes. */
const formerSnapshot = /^\.former-[0-9a-f]{32}-/;

/**
 * The top of a container's volume that somebody's archive filled becomes ours again, and nobody else's to enter. With the owner it came with, a user of the host
 * could put another root file system in there before the container starts, the host's own for one.
 */
export async function closeVolume(path: string, mode = 0o100): Promise<void> {
  await lchown(path, process.getuid!(), process.getgid!());
  await chmod(path, mode);
}

export interface ListedVolume {
  readonly kind: string;
  readonly name: string;
  /** A custom volume that is one disk. */
  readonly block?: true;
}

/** The directory layout all pools share, whatever fills them. Paths are those of a mounted pool. */
export class PoolDirectories {
  constructor(readonly path: string) {}

  /**
   * Makes what is missing, and verifies that nobody but root can change or enter what lies around the volumes: files in them belong
   * to real root and may be setuid (hazards E6). `conflict` if a directory is not root's.
   */
  async ensure(): Promise<void> {
    for (const [name, mode] of Object.entries(kindDirectories)) {
      const path = `${this.path}/${name}`;
      await mkdir(path, { mode }).catch((error: unknown) => {
        if (errnoName(error) !== 'EEXIST') throw error;
      });
      await protect(path, mode);
    }
  }

  volume(kind: string, name: string): string {
    const directory = volumeKinds[kind];
    if (directory === undefined) throw invalid(`Invalid storage volume type "${kind}"`);
    if (name === '' || name.includes('/') || name.includes('\0') || name.startsWith('.')) throw invalid(`Invalid volume name "${name}"`);
    return `${this.path}/${directory}/${name}`;
  }

  /** Where the snapshots of a volume lie. */
  snapshots(kind: string, name: string): string {
    const path = this.volume(kind, name);
    return `${dirname(path)}-snapshots/${name}`;
  }

  snapshot(kind: string, name: string, snapshot: string): string {
    if (['', '.', '..'].includes(snapshot) || /[/\0]/.test(snapshot) || snapshot.startsWith(scratchPrefix)) throw invalid(`Invalid snapshot name "${snapshot}"`);
    return `${this.snapshots(kind, name)}/${snapshot}`;
  }

  /** Where a snapshot is made before it gets its name. */
  snapshotBeingMade(kind: string, name: string, snapshot: string): string {
    const path = this.snapshot(kind, name, snapshot);
    return `${dirname(path)}/${scratchPrefix}new-${snapshot}`;
  }

  async snapshotNames(kind: string, name: string): Promise<string[]> {
    return (await entries(this.snapshots(kind, name))).filter((entry) => !isHidden(entry));
  }

  /** Paths of what lies among a volume's snapshots and is none: set aside, half made or half deleted. */
  async hiddenSnapshots(kind: string, name: string): Promise<string[]> {
    return (await entries(this.snapshots(kind, name))).filter(isHidden).map((entry) => `${this.snapshots(kind, name)}/${entry}`);
  }

  /** Where a restore keeps what the volume held before. `token` names the restore. */
  former(kind: string, name: string, token: string): string {
    if (!/^[0-9a-f]+$/.test(token)) throw invalid(`Invalid token "${token}"`);
    return `${dirname(this.volume(kind, name))}/${formerPrefix}${token}-${name}`;
  }

  /** What unsettled restores of a volume have kept. */
  async formers(kind: string, name: string): Promise<string[]> {
    const parent = dirname(this.volume(kind, name));
    return (await entries(parent)).filter((entry) => entry.startsWith(formerPrefix) && /^[0-9a-f]+-(.*)$/s.exec(entry.slice(formerPrefix.length))?.[1] === name)
      .map((entry) => `${parent}/${entry}`);
  }

  /** Gives a volume, and its snapshots, another name. Done before: nothing. `not-found` without it, `conflict` if the name is taken. */
  async rename(pool: string, kind: string, name: string, newName: string): Promise<void> {
    const [from, to] = [this.volume(kind, name), this.volume(kind, newName)];
    if ((await exists(from)) && (await exists(to))) throw conflict(`Volume "${newName}" exists already in pool "${pool}"`);
    await rename(this.snapshots(kind, name), this.snapshots(kind, newName)).catch((error: unknown) => {
      if (errnoName(error) !== 'ENOENT') throw error;
    });
    const taken = await exists(to);
    if (!(await exists(from))) {
      if (taken) return;
      throw notFound(`Volume "${name}" does not exist in pool "${pool}"`);
    }
    if (taken) throw conflict(`Volume "${newName}" exists already in pool "${pool}"`);
    await rename(from, to);
  }

  /** Where a volume is made before it gets its name: the same place after every crash, so the next attempt finds the leftovers. */
  beingMade(kind: string, name: string): string {
    const path = this.volume(kind, name);
    return `${dirname(path)}/${scratchPrefix}new-${name}`;
  }

  beingDeleted(kind: string, name: string): string {
    const path = this.volume(kind, name);
    return `${dirname(path)}/${scratchPrefix}old-${name}`;
  }

  /** All there are, or those of one kind. Each custom one is looked into. */
  async volumes(only?: string): Promise<ListedVolume[]> {
    const found: ListedVolume[] = [];
    for (const [kind, directory] of Object.entries(volumeKinds)) {
      if (only !== undefined && kind !== only) continue;
      for (const name of await entries(`${this.path}/${directory}`)) {
        if (name.startsWith('.')) continue;
        const block = kind === 'custom' && (await exists(blockFile(`${this.path}/${directory}/${name}`)));
        found.push({ kind, name, ...(block ? { block } : {}) });
      }
    }
    return found;
  }

  /** Half-made and half-deleted volumes left by a crash. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    for (const directory of Object.values(volumeKinds)) {
      for (const name of await entries(`${this.path}/${directory}`)) if (name.startsWith(scratchPrefix)) found.push(`${this.path}/${directory}/${name}`);
      if (directory === 'images') continue;
      for (const volume of await entries(`${this.path}/${directory}-snapshots`)) {
        if (volume.startsWith(scratchPrefix)) found.push(`${this.path}/${directory}-snapshots/${volume}`);
        else {
          const names = await entries(`${this.path}/${directory}-snapshots/${volume}`);
          found.push(...names.filter((name) => name.startsWith(scratchPrefix)).map((name) => `${this.path}/${directory}-snapshots/${volume}/${name}`));
        }
      }
    }
    return found;
  }

  /** Everything inside the layout's directories: volumes, snapshots, leftovers. */
  async contents(): Promise<string[]> {
    const found: string[] = [];
    for (const directory of Object.keys(kindDirectories)) {
      for (const name of await entries(`${this.path}/${directory}`)) {
        // Each snapshot by itself: on btrfs they are subvolumes in a plain directory.
        if (directory.endsWith('-snapshots')) found.push(...(await entries(`${this.path}/${directory}/${name}`)).map((snapshot) => `${this.path}/${directory}/${name}/${snapshot}`));
        found.push(`${this.path}/${directory}/${name}`);
      }
    }
    return found;
  }

  /** Removes the layout's own directories, which must be empty by now. */
  async remove(): Promise<void> {
    for (const directory of Object.keys(kindDirectories)) await rm(`${this.path}/${directory}`, { recursive: true, force: true });
  }
}

function isHidden(snapshot: string): boolean {
  return snapshot.startsWith(scratchPrefix) || formerSnapshot.test(snapshot);
}

/** Names in a directory; none if it does not exist. */
async function entries(path: string): Promise<string[]> {
  return readdir(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errnoName(error))) return [];
    throw error;
  });
}

async function protect(path: string, mode: number): Promise<void> {
  const found = await lstat(path);
  if (!found.isDirectory()) throw conflict(`"${path}" is not a directory`);
  if (found.uid !== process.geteuid?.()) throw conflict(`"${path}" does not belong to root`);
  if ((found.mode & 0o7777) !== mode) await chmod(path, mode);
}

/**
 * Remembers beside the pools which backing stores were made here, and for which pool. Only a claimed store is ever cleared: a
 * creation that was refused, or killed before it looked, must not lead to somebody's directory being emptied by its undoing.
 */
export class PoolClaims {
  constructor(private readonly storagePools: string) {}

  async claim(pool: string, source: string): Promise<void> {
    await mkdir(this.storagePools, { recursive: true, mode: poolMode });
    const file = this.file(pool);
    await writeFile(`${file}.new`, source, { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  }

  /** The claimed backing store, or undefined. */
  async claimed(pool: string): Promise<string | undefined> {
    return readFile(this.file(pool), 'utf8').catch((error: unknown) => {
      if (errnoName(error) === 'ENOENT') return undefined;
      throw error;
    });
  }

  async release(pool: string): Promise<void> {
    await rm(this.file(pool), { force: true });
  }

  private file(pool: string): string {
    if (pool === '' || pool.includes('/') || pool.startsWith('.')) throw invalid(`Invalid storage pool name "${pool}"`);
    return `${this.storagePools}/.${pool}.claim`;
  }
}

/** Makes the mount point `storage-pools/NAME`, and its parent, with the modes that protect what will be inside. */
export async function ensureMountPoint(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: poolMode });
  await mkdir(path, { mode: poolMode }).catch((error: unknown) => {
    if (errnoName(error) !== 'EEXIST') throw error;
  });
}

/** Which pools are known to be in order, and what was mounted then: somebody may unmount one behind our back. */
export class ReadyPools {
  private readonly roots = new Map<string, string>();

  async has(pool: string, path: string): Promise<boolean> {
    const known = this.roots.get(pool);
    return known !== undefined && known === (await identity(path));
  }

  async add(pool: string, path: string): Promise<void> {
    this.roots.set(pool, await identity(path));
  }

  delete(pool: string): void {
    this.roots.delete(pool);
  }
}

async function identity(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? '' : `${found.dev}:${found.ino}`;
}

/** Whether a directory holds nothing, or nothing but a fresh file system's `lost+found`. */
export async function isEmptyDirectory(path: string): Promise<boolean> {
  return (await readdir(path)).every((name) => name === 'lost+found');
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}
