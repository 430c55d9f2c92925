import { chmod, mkdir, readdir, rename, rmdir, statfs } from 'node:fs/promises';
import { invalid, KeyedMutex, notFound, conflict, wrap, type Logger, type StateDirectory } from '#kernel';
import { ensureMountPoint, errnoName, exists, ImageUnpacker, isEmptyDirectory, Mounts, PoolClaims, PoolDirectories, ReadyPools, RemoveTree, sizeBlockFile, type CommandRunner } from '#host';
import {
  StorageDriver,
  type CreateVolumeRequest, type PoolResources, type PoolSpec, type StorageCapabilities, type VolumeSpec, type VolumeUsage,
} from '#ports';
import { DirVolumeSnapshots } from './dir-volume-snapshots.js';
import { DirVolumeStreams } from './dir-volume-streams.js';

export interface DirStorageOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
}

/** Only root may look into a volume from the host; the container's own root gets it when it starts. */
const volumeMode = 0o100;
/** Of a new custom volume's top directory; the directory around all of them keeps others out. */
const customMode = 0o711;

/**
 * Pools that are plain directories: below the state directory, or somewhere else and bound to `storage-pools/NAME`. Every volume is
 * unpacked by itself and quotas are not enforced. A volume is made, and taken away, under another name and renamed, so a crash
 * leaves either a whole volume or a leftover that the next start removes.
 */
export class DirStorageDriver extends StorageDriver {
  readonly snapshots: DirVolumeSnapshots;
  readonly streams: DirVolumeStreams;
  private readonly state: StateDirectory;
  private readonly logger: Logger;
  private readonly mounts: Mounts;
  private readonly images: ImageUnpacker;
  private readonly trees: RemoveTree;
  private readonly claims: PoolClaims;
  private readonly locks = new KeyedMutex();
  /** Pools made ready since this process started. */
  private readonly ready = new ReadyPools();

  constructor(options: DirStorageOptions) {
    super();
    this.state = options.state;
    this.logger = options.logger;
    this.mounts = new Mounts(options.command);
    this.images = new ImageUnpacker(options.command);
    this.trees = new RemoveTree(options.command);
    this.claims = new PoolClaims(options.state.storagePools);
    const shared = {
      ...options, ensurePoolMounted: (pool: PoolSpec) => this.ensurePoolMounted(pool),
      lock: <T>(volume: VolumeSpec, work: () => Promise<T>) => this.lockVolume(volume, work),
    };
    this.snapshots = new DirVolumeSnapshots(shared);
    this.streams = new DirVolumeStreams({ ...shared, snapshots: this.snapshots });
  }

  override async capabilities(): Promise<StorageCapabilities[]> {
    return [{ driver: 'dir', version: '1', remote: false, quota: false, optimizedImages: false, freezeToCopy: true, ownBackups: false }];
  }

  override createPool(pool: PoolSpec): Promise<PoolSpec> {
    return this.locks.run(pool.name, async () => {
      const mountPoint = this.state.pool(pool.name);
      const source = pool.config['source'] || mountPoint;
      if (source !== mountPoint && !source.startsWith('/')) throw invalid(`Source path '${source}' doesn't exist`);
      if ((await this.claims.claimed(pool.name)) !== source) {
        if (source !== mountPoint) await requireEmpty(source);
        else if ((await exists(source)) && !(await isEmptyDirectory(source))) throw conflict(`Source path '${source}' isn't empty`);
        await this.claims.claim(pool.name, source);
      }
      const spec = { ...pool, config: { ...pool.config, source } };
      await this.makeReady(spec);
      return spec;
    });
  }

  override destroyPool(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, async () => {
      const mountPoint = this.state.pool(pool.name);
      const source = pool.config['source'] || mountPoint;
      this.ready.delete(pool.name);
      if ((await this.claims.claimed(pool.name)) === source) {
        const directories = new PoolDirectories(source);
        for (const path of await directories.contents()) await this.trees.remove(path);
        await directories.remove();
        await this.mounts.unmount(mountPoint);
        await removeEmpty(mountPoint);
        await this.claims.release(pool.name);
      }
    });
  }

  override ensurePoolMounted(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, () => this.makeReady(pool));
  }

  override unmountPool(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, async () => {
      this.ready.delete(pool.name);
      await this.mounts.unmount(this.state.pool(pool.name));
    });
  }

  /** Nothing of a directory pool's configuration changes the host: its source cannot change, the rest concerns transfers. */
  override async updatePool(pool: PoolSpec): Promise<void> {
    await this.ensurePoolMounted(pool);
  }

  override async describePool(pool: PoolSpec): Promise<PoolResources> {
    await this.ensurePoolMounted(pool);
    const fs = await statfs(this.state.pool(pool.name));
    return {
      usedBytes: (fs.blocks - fs.bfree) * fs.bsize, totalBytes: fs.blocks * fs.bsize,
      usedInodes: fs.files - fs.ffree, totalInodes: fs.files,
    };
  }

  override async createVolume(request: CreateVolumeRequest): Promise<void> {
    const { volume, imageFingerprint, sizeBytes } = request;
    requireContainerFiles(volume);
    const mode = volume.kind === 'custom' ? customMode : volumeMode;
    await this.ensurePoolMounted(volume.pool);
    await this.lockVolume(volume, async (directories) => {
      const path = directories.volume(volume.kind, volume.name);
      if (await exists(path)) return;
      const made = directories.beingMade(volume.kind, volume.name);
      await this.trees.remove(made);
      await mkdir(made, { mode });
      try {
        if (volume.block === true) await sizeBlockFile(made, sizeBytes);
        else if (volume.kind === 'custom') await this.resizeVolume(volume, sizeBytes);
        else if (imageFingerprint === '') await mkdir(`${made}/rootfs`, { mode: 0o755 });
        else await this.images.unpack(await this.images.filesOf(this.state.images, imageFingerprint), made);
      } catch (error) {
        await this.trees.remove(made);
        throw error;
      }
      // The archive's own top directory may have set another mode.
      await chmod(made, mode);
      await rename(made, path);
    });
  }

  override async destroyVolume(volume: VolumeSpec): Promise<void> {
    await this.ensurePoolMounted(volume.pool);
    await this.lockVolume(volume, async (directories) => {
      const old = directories.beingDeleted(volume.kind, volume.name);
      await this.trees.remove(old);
      await this.trees.remove(directories.beingMade(volume.kind, volume.name));
      await rename(directories.volume(volume.kind, volume.name), old).catch((error: unknown) => {
        if (errnoName(error) !== 'ENOENT') throw error;
      });
      await this.trees.remove(old);
      await this.snapshots.trees.destroyAll(volume);
    });
  }

  override async renameVolume(volume: VolumeSpec, newName: string): Promise<void> {
    await this.ensurePoolMounted(volume.pool);
    await this.lockVolume(volume, async (directories) => {
      await directories.rename(volume.pool.name, volume.kind, volume.name, newName);
      for (const name of [volume.name, newName]) await this.snapshots.trees.settleLink({ ...volume, name });
    });
  }

  /** Files: accepted without effect, as LXD does where the file system has no project quotas. */
  override async resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void> {
    if (volume.block === true) return this.lockVolume(volume, (directories) => sizeBlockFile(directories.volume(volume.kind, volume.name), sizeBytes));
    if (sizeBytes > 0) this.logger.warn('The backing filesystem does not support quotas, skipping set quota', { pool: volume.pool.name, volume: volume.name, sizeBytes });
  }

  override async describeVolume(volume: VolumeSpec): Promise<VolumeUsage> {
    const path = new PoolDirectories(this.state.pool(volume.pool.name)).volume(volume.kind, volume.name);
    if (!(await exists(path))) throw notFound(`Volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    return { usedBytes: -1, totalBytes: 0 };
  }

  override async listVolumes(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]> {
    await this.ensurePoolMounted(pool);
    const found = await new PoolDirectories(this.state.pool(pool.name)).volumes(kind);
    return found.map((volume) => ({ ...volume, pool, kind: volume.kind as VolumeSpec['kind'] }));
  }

  private lockVolume<T>(volume: VolumeSpec, work: (directories: PoolDirectories) => Promise<T>): Promise<T> {
    const directories = new PoolDirectories(this.state.pool(volume.pool.name));
    return this.locks.run(directories.volume(volume.kind, volume.name), () => work(directories));
  }

  private async makeReady(pool: PoolSpec): Promise<void> {
    const mountPoint = this.state.pool(pool.name);
    if (await this.ready.has(pool.name, mountPoint)) return;
    const source = pool.config['source'] || mountPoint;
    await ensureMountPoint(mountPoint);
    if (source !== mountPoint && (await this.mounts.at(mountPoint)) === undefined) {
      if (!(await exists(source))) throw notFound(`Source path '${source}' doesn't exist`);
      await this.mounts.bind(source, mountPoint);
    }
    const directories = new PoolDirectories(mountPoint);
    await directories.ensure();
    for (const path of await directories.leftovers()) {
      this.logger.info('Removing leftover of an interrupted operation', { path });
      await this.trees.remove(path);
    }
    if ((await this.claims.claimed(pool.name)) === undefined) await this.claims.claim(pool.name, source);
    await this.ready.add(pool.name, mountPoint);
  }
}

async function requireEmpty(source: string): Promise<void> {
  if (!(await exists(source))) throw invalid(`Source path '${source}' doesn't exist`);
  const names = await readdir(source).catch((error: unknown) => {
    if (errnoName(error) === 'ENOTDIR') throw invalid(`readdirent ${source}: not a directory`);
    throw wrap(error, `Cannot use source path '${source}'`);
  });
  if (names.length > 0) throw invalid(`Source path '${source}' isn't empty`);
}

async function removeEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTEMPTY'].includes(errnoName(error))) throw error;
  });
}

function requireContainerFiles(volume: VolumeSpec): void {
  if (volume.kind === 'virtual-machine') throw invalid('Virtual machines are not supported on this host');
}
