import { chmod, lstat, mkdir, rename } from 'node:fs/promises';
import { KeyedMutex, notFound, type StateDirectory } from '#kernel';
import { blockFileBytes, BtrfsSubvolumes, type CommandRunner, CopyTree, errnoName, exists, ImageUnpacker, NestedSubvolumes, PoolDirectories, RemoveTree, sizeBlockFile, SnapshotTrees } from '#host';
import type { CreateVolumeRequest, PoolSpec, VolumeSpec, VolumeUsage } from '#ports';

/** Only root may look into a volume from the host; the container's own root gets it when it starts. */
const volumeMode = 0o100;
/** Of a new custom volume's top directory; the directory around all of them keeps others out. */
const customMode = 0o711;

export interface BtrfsVolumesOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly subvolumes: BtrfsSubvolumes;
}

/**
 * Volumes of mounted pools, one subvolume each. An image is unpacked once per pool, under a lock, into `images/FINGERPRINT`, and an
 * instance's volume is a snapshot of it: one ioctl. Everything is made under another name and renamed, so what has its name is whole.
 */
export class BtrfsVolumes {
  readonly snapshotTrees: SnapshotTrees;
  private readonly state: StateDirectory;
  readonly nested: NestedSubvolumes;
  private readonly subvolumes: BtrfsSubvolumes;
  private readonly images: ImageUnpacker;
  private readonly trees: RemoveTree;
  private readonly locks = new KeyedMutex();
  private readonly quotaEnabled = new Set<string>();

  constructor(options: BtrfsVolumesOptions) {
    this.state = options.state;
    this.subvolumes = options.subvolumes;
    this.images = new ImageUnpacker(options.command);
    this.trees = new RemoveTree(options.command);
    const copies = new CopyTree(options.command);
    this.nested = new NestedSubvolumes(options.subvolumes, copies);
    const clone = (source: string, target: string, { readOnly }: { readOnly: boolean }): Promise<void> => this.nested.snapshot(source, target, { readOnly });
    const fill = async (source: string, target: string, { readOnly, like }: { readOnly: boolean; like: string | null }): Promise<void> => {
      if (like !== null && (await this.subvolumes.isSubvolume(like))) {
        // What both hold stays shared; only what differs is written.
        await this.nested.flatten(like, target);
        await copies.mirror(source, target);
      } else {
        await this.subvolumes.create(target);
        await copies.copy(source, target);
      }
      if (readOnly) await this.subvolumes.setReadOnly(target, true);
    };
    this.snapshotTrees = new SnapshotTrees(options.state, {
      clone,
      fill,
      renew: (source, target, { former, samePool }) => (samePool ? clone(source, target, { readOnly: false }) : fill(source, target, { readOnly: false, like: former })),
      remove: (path) => this.destroyIfPresent(path),
      copyQuota: async (source, target) => {
        const limitBytes = (await this.subvolumes.usage(source))?.limitBytes ?? 0;
        if (limitBytes > 0) await this.limitAt(target, limitBytes);
      },
      limit: async (path, sizeBytes) => { if (sizeBytes > 0) await this.limitAt(path, sizeBytes); },
    });
  }

  async create(request: CreateVolumeRequest): Promise<void> {
    const { volume, imageFingerprint, sizeBytes } = request;
    if (volume.kind === 'image') return this.withImage(volume.pool, volume.name, async () => {});
    await this.lock(volume, async (directories, path) => {
      if (!(await exists(path))) {
        const made = directories.beingMade(volume.kind, volume.name);
        await this.destroyIfPresent(made);
        if (volume.kind === 'custom') await this.subvolumes.create(made);
        else if (imageFingerprint === '') await this.makeEmpty(made);
        else await this.withImage(volume.pool, imageFingerprint, (image) => this.subvolumes.snapshot(image, made));
        try {
          await chmod(made, volume.kind === 'custom' ? customMode : volumeMode);
          if (volume.block === true) await sizeBlockFile(made, sizeBytes);
          else if (sizeBytes > 0) await this.limit(volume.pool, made, sizeBytes);
          await rename(made, path);
        } catch (error) {
          await this.subvolumes.destroy(made);
          throw error;
        }
      } else if (sizeBytes > 0 && volume.block !== true) await this.limit(volume.pool, path, sizeBytes);
    });
  }

  async destroy(volume: VolumeSpec): Promise<void> {
    await this.lock(volume, async (directories, path) => {
      await this.destroyIfPresent(directories.beingMade(volume.kind, volume.name));
      await this.destroyIfPresent(path, volume.pool);
      await this.snapshotTrees.destroyAll(volume);
    });
  }

  async rename(volume: VolumeSpec, newName: string): Promise<void> {
    await this.lock(volume, async (directories) => {
      await directories.rename(volume.pool.name, volume.kind, volume.name, newName);
      for (const name of [volume.name, newName]) await this.snapshotTrees.settleLink({ ...volume, name });
    });
  }

  async resize(volume: VolumeSpec, sizeBytes: number): Promise<void> {
    await this.lock(volume, async (_, path) => {
      await this.requirePresent(volume, path);
      if (volume.block === true) return sizeBlockFile(path, sizeBytes);
      // Lifting a limit where quotas were never switched on must not switch them on.
      if (sizeBytes > 0 || (await this.subvolumes.usage(path)) !== undefined) await this.limit(volume.pool, path, sizeBytes);
    });
  }

  /** What the volume holds by itself, as LXD counts it: blocks shared with the image belong to nobody. */
  async describe(volume: VolumeSpec): Promise<VolumeUsage> {
    const path = this.directories(volume.pool).volume(volume.kind, volume.name);
    await this.requirePresent(volume, path);
    const usage = await this.subvolumes.usage(path);
    if (volume.block === true) return { usedBytes: usage?.exclusiveBytes ?? -1, totalBytes: await blockFileBytes(path) };
    return usage === undefined ? { usedBytes: -1, totalBytes: 0 } : { usedBytes: usage.exclusiveBytes, totalBytes: usage.limitBytes };
  }

  /** What the snapshot holds by itself; -1 where quotas are off, and for one that is not there. */
  async snapshotBytes({ pool, kind, name }: VolumeSpec, snapshot: string): Promise<number> {
    try {
      return (await this.subvolumes.usage(this.directories(pool).snapshot(kind, name, snapshot)))?.exclusiveBytes ?? -1;
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return -1;
      throw error;
    }
  }

  async list(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]> {
    return (await this.directories(pool).volumes(kind)).map((volume) => ({ ...volume, pool, kind: volume.kind as VolumeSpec['kind'] }));
  }

  /** Runs `use` with the unpacked image, which nobody removes meanwhile. Requests for the same image wait for the first. */
  private async withImage(pool: PoolSpec, fingerprint: string, use: (path: string) => Promise<void>): Promise<void> {
    await this.lock({ pool, kind: 'image', name: fingerprint }, async (directories, path) => {
      if (!(await exists(path))) {
        const made = directories.beingMade('image', fingerprint);
        const files = await this.images.filesOf(this.state.images, fingerprint);
        await this.destroyIfPresent(made);
        await this.subvolumes.create(made);
        try {
          await chmod(made, volumeMode);
          await this.images.unpack(files, made);
          await chmod(made, volumeMode);
          await this.subvolumes.setReadOnly(made, true);
          await rename(made, path);
        } catch (error) {
          await this.subvolumes.destroy(made);
          throw error;
        }
      }
      await use(path);
    });
  }

  private async makeEmpty(path: string): Promise<void> {
    await this.subvolumes.create(path);
    await mkdir(`${path}/rootfs`, { mode: 0o755 });
  }

  limitAt(path: string, sizeBytes: number): Promise<void> {
    const name = path.slice(this.state.storagePools.length + 1).split('/', 1)[0] ?? '';
    return this.limit({ name }, path, sizeBytes);
  }

  private async limit(pool: Pick<PoolSpec, 'name'>, path: string, sizeBytes: number): Promise<void> {
    const poolPath = this.state.pool(pool.name);
    if (sizeBytes > 0 && !this.quotaEnabled.has(pool.name)) {
      await this.subvolumes.enableQuota(poolPath);
      this.quotaEnabled.add(pool.name);
    }
    await this.subvolumes.limit(poolPath, path, sizeBytes);
  }

  /** Also takes plain directories, which an administrator may have copied in. */
  private async destroyIfPresent(path: string, pool?: PoolSpec): Promise<void> {
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) return;
    if (!(await this.subvolumes.isSubvolume(path))) return this.trees.remove(path);
    const counted = pool !== undefined && this.quotaEnabled.has(pool.name) ? await this.subvolumes.id(path) : undefined;
    await this.subvolumes.destroy(path);
    if (pool !== undefined && counted !== undefined) await this.subvolumes.dropQgroup(this.state.pool(pool.name), counted);
  }

  private async requirePresent(volume: VolumeSpec, path: string): Promise<void> {
    if (!(await exists(path))) throw notFound(`Volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
  }

  private directories(pool: PoolSpec): PoolDirectories {
    return new PoolDirectories(this.state.pool(pool.name));
  }

  /** At most one change of a volume at a time. */
  lock<T>(volume: VolumeSpec, work: (directories: PoolDirectories, path: string) => Promise<T>): Promise<T> {
    const directories = this.directories(volume.pool);
    const path = directories.volume(volume.kind, volume.name);
    return this.locks.run(path, () => work(directories, path));
  }
}
