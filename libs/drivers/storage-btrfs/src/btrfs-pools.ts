import { chmod, mkdir, open, rename, rm, rmdir, statfs, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, invalid, notFound, parseByteSize, wrap, type Logger, type StateDirectory } from '#kernel';
import {
  BtrfsSubvolumes, BtrfsTools, ensureMountPoint, errnoName, exists, isEmptyDirectory, LoopDevices, Mounts, PoolClaims, PoolDirectories, poolMode, ReadyPools,
  type CommandRunner,
} from '#host';
import type { PoolResources, PoolSpec } from '#ports';
import { isOnBtrfs, loopSize, poolSource, type PoolSource } from './pool-source.js';

const linkAttempts = 10;
const linkPauseMs = 100;
const defaultMountOptions = 'user_subvol_rm_allowed';

export interface BtrfsPoolsOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
}

/**
 * Backing stores: made, mounted at `storage-pools/NAME`, grown, removed. A store is claimed before anything is written to it and only a
 * claimed store is ever cleared. Callers hold the pool's lock.
 */
export class BtrfsPools {
  readonly subvolumes = new BtrfsSubvolumes();
  readonly tools: BtrfsTools;
  private readonly mounts: Mounts;
  private readonly loops = new LoopDevices();
  private readonly claims: PoolClaims;
  private readonly ready = new ReadyPools();
  private readonly state: StateDirectory;
  private readonly logger: Logger;

  constructor(options: BtrfsPoolsOptions) {
    this.state = options.state;
    this.logger = options.logger;
    this.tools = new BtrfsTools(options.command);
    this.mounts = new Mounts(options.command);
    this.claims = new PoolClaims(options.state.storagePools);
  }

  /** Makes the store, mounts it and returns the final configuration. */
  async create(pool: PoolSpec): Promise<PoolSpec> {
    const source = await poolSource(this.state, pool);
    const claimed = (await this.claims.claimed(pool.name)) === source.path;
    let spec: PoolSpec;
    if (source.kind === 'loop') spec = await this.createLoopFile(pool, source, claimed);
    else if (source.kind === 'device') spec = await this.formatDevice(pool, source, claimed);
    else spec = await this.createSubvolume(pool, source, claimed);
    await this.makeReady(spec);
    return spec;
  }

  async destroy(pool: PoolSpec): Promise<void> {
    const source = await poolSource(this.state, pool);
    const mountPoint = this.state.pool(pool.name);
    this.ready.delete(pool.name);
    if ((await this.claims.claimed(pool.name)) !== source.path) return;
    // A file that is about to be removed, and a file system that is, need no emptying first.
    if (source.kind !== 'loop') await this.clear(pool, source);
    await this.mounts.unmount(mountPoint);
    if (source.kind === 'loop') {
      await rm(source.path, { force: true });
      await rm(unfinished(source.path), { force: true });
      await removeIfEmpty(this.state.disks);
    }
    if (source.kind === 'directory' && (await this.subvolumes.isSubvolume(source.path)) && (await isEmptyDirectory(source.path))) {
      await this.subvolumes.destroy(source.path);
    }
    await removeIfEmpty(mountPoint);
    await this.claims.release(pool.name);
  }

  /** Mounts the pool, makes its directories, removes what a crash left. Cheap when that was done before. */
  async makeReady(pool: PoolSpec): Promise<void> {
    const mountPoint = this.state.pool(pool.name);
    if (await this.ready.has(pool.name, mountPoint)) return;
    const source = await poolSource(this.state, pool);
    if (source.path !== mountPoint) {
      await ensureMountPoint(mountPoint);
      const mounted = await this.mounts.at(mountPoint);
      if (mounted === undefined) await this.mount(pool, source);
      else if (mounted.fsType !== 'btrfs') throw conflict(`Something else is mounted on "${mountPoint}"`);
    }
    if (source.kind !== 'directory') await chmod(mountPoint, poolMode);
    const directories = new PoolDirectories(mountPoint);
    await directories.ensure();
    for (const path of await directories.leftovers()) {
      this.logger.info('Removing leftover of an interrupted operation', { path });
      await this.discard(path);
    }
    if ((await this.claims.claimed(pool.name)) === undefined) await this.claims.claim(pool.name, source.path);
    await this.ready.add(pool.name, mountPoint);
  }

  async unmount(pool: PoolSpec): Promise<void> {
    this.ready.delete(pool.name);
    await this.mounts.unmount(this.state.pool(pool.name));
  }

  async update(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void> {
    await this.makeReady(pool);
    const source = await poolSource(this.state, pool);
    if (changed['size'] !== undefined && changed['size'] !== '' && source.kind === 'loop') await this.grow(pool, source, parseByteSize(changed['size']));
    if (changed['btrfs.mount_options'] !== undefined && source.kind !== 'directory') {
      await this.mounts.remount(this.state.pool(pool.name), changed['btrfs.mount_options'] || defaultMountOptions);
    }
  }

  async describe(pool: PoolSpec): Promise<PoolResources> {
    await this.makeReady(pool);
    const fs = await statfs(this.state.pool(pool.name));
    return {
      usedBytes: (fs.blocks - fs.bfree) * fs.bsize, totalBytes: fs.blocks * fs.bsize,
      usedInodes: fs.files - fs.ffree, totalInodes: fs.files,
    };
  }

  private async createLoopFile(pool: PoolSpec, source: PoolSource, claimed: boolean): Promise<PoolSpec> {
    await mkdir(this.state.disks, { recursive: true, mode: 0o700 });
    const size = await loopSize(this.state, pool.config['size']);
    if (!claimed) {
      if (await exists(source.path)) throw conflict(`"${source.path}" exists already`);
      await this.claims.claim(pool.name, source.path);
    }
    if (!(await exists(source.path))) {
      const file = unfinished(source.path);
      await rm(file, { force: true });
      const handle = await open(file, 'wx', 0o600);
      await handle.truncate(parseByteSize(size)).finally(() => handle.close());
      await this.tools.format(file, pool.name).catch((error: unknown) => {
        throw wrap(error, 'Failed to format sparse file');
      });
      await rename(file, source.path);
    }
    return { ...pool, config: { ...pool.config, size, source: source.path } };
  }

  private async formatDevice(pool: PoolSpec, source: PoolSource, claimed: boolean): Promise<PoolSpec> {
    if (!claimed) {
      await this.tools.format(source.path, pool.name).catch((error: unknown) => {
        throw wrap(error, 'Failed to format block device');
      });
      await this.claims.claim(pool.name, source.path);
    }
    // Names of devices change from boot to boot; the identity of the file system does not. Hosts without udev keep the name.
    const uuid = source.path.startsWith('UUID=') ? '' : await this.tools.uuid(source.path);
    if (uuid === '' || !(await appears(`/dev/disk/by-uuid/${uuid}`))) return pool;
    await this.claims.claim(pool.name, `UUID=${uuid}`);
    return { ...pool, config: { ...pool.config, source: uuid, 'volatile.initial_source': source.path } };
  }

  private async createSubvolume(pool: PoolSpec, source: PoolSource, claimed: boolean): Promise<PoolSpec> {
    const { path } = source;
    const own = this.state.pool(pool.name);
    if (path.startsWith(`${this.state.root}/`) && path !== own) throw invalid(`Only allowed source path under "${this.state.root}" is "${own}"`);
    if (!path.startsWith('/')) throw invalid('Provided path does not reside on a btrfs filesystem');
    const present = await exists(path);
    if (!(await isOnBtrfs(present ? path : dirname(path)))) {
      throw invalid(present ? 'Provided path does not reside on a btrfs filesystem' : `Failed to create subvolume "${path}": not a btrfs filesystem: ${dirname(path)}`);
    }
    const isSubvolume = present && (await this.subvolumes.isSubvolume(path));
    if (present && !isSubvolume && !(path === own && (await isEmptyDirectory(path)))) throw invalid(`Requested path "${path}" exists but is not a btrfs subvolume`);
    if (isSubvolume && !claimed && !(await isEmptyDirectory(path))) throw invalid('Requested btrfs subvolume exists but is not empty');
    if (!claimed) await this.claims.claim(pool.name, path);
    if (!isSubvolume) {
      if (present) await rmdir(path);
      await this.subvolumes.create(path);
    }
    return { ...pool, config: { ...pool.config, source: path } };
  }

  private async mount(pool: PoolSpec, source: PoolSource): Promise<void> {
    const target = this.state.pool(pool.name);
    const options = pool.config['btrfs.mount_options'] || defaultMountOptions;
    if (source.kind === 'directory') {
      if (!(await exists(source.path))) throw notFound(`Source path '${source.path}' doesn't exist`);
      await this.mounts.bind(source.path, target);
    } else if (source.kind === 'device') {
      await this.mounts.mount({ source: source.path, target, fsType: 'btrfs', options });
    } else {
      await this.loops.withDevice(source.path, (device) => this.mounts.mount({ source: device, target, fsType: 'btrfs', options }));
    }
  }

  private async clear(pool: PoolSpec, source: PoolSource): Promise<void> {
    const mountPoint = this.state.pool(pool.name);
    if (source.path !== mountPoint && (await this.mounts.at(mountPoint)) === undefined) {
      if (source.kind === 'directory' && !(await exists(source.path))) return;
      await ensureMountPoint(mountPoint);
      await this.mount(pool, source);
    }
    const directories = new PoolDirectories(mountPoint);
    for (const path of await directories.contents()) await this.discard(path);
    await directories.remove();
  }

  private async discard(path: string): Promise<void> {
    if (await this.subvolumes.isSubvolume(path)) await this.subvolumes.destroy(path);
    else await rm(path, { recursive: true, force: true });
  }

  private async grow(pool: PoolSpec, source: PoolSource, sizeBytes: number): Promise<void> {
    const handle = await open(source.path, 'r');
    const { size } = await handle.stat().finally(() => handle.close());
    if (sizeBytes < size) throw invalid('Pool cannot be shrunk');
    if (sizeBytes === size) return;
    await truncate(source.path, sizeBytes);
    const device = await this.loops.deviceOf(source.path);
    if (device !== undefined) await this.loops.refreshCapacity(device);
    await this.tools.growToDevice(this.state.pool(pool.name));
  }
}

function unfinished(file: string): string {
  return `${file}.new`;
}

async function appears(path: string): Promise<boolean> {
  for (let attempt = 1; attempt <= linkAttempts; attempt++) {
    if (await exists(path)) return true;
    await sleep(linkPauseMs);
  }
  return false;
}

async function removeIfEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoName(error))) throw error;
  });
}
