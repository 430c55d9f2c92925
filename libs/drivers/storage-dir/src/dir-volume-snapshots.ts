import type { StateDirectory } from '#kernel';
import { CopyTree, RemoveTree, SnapshotTrees, type CommandRunner, type TreeOperations } from '#host';
import { VolumeSnapshots, type CopyVolumeRequest, type PoolSpec, type VolumeSpec } from '#ports';

export interface DirVolumeSnapshotsOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  /** Of the driver: the pool of what is asked for is ready after it. */
  readonly ensurePoolMounted: (pool: PoolSpec) => Promise<void>;
  /** Of the driver: at most one change of a volume at a time. */
  readonly lock: <T>(volume: VolumeSpec, work: () => Promise<T>) => Promise<T>;
}

/** Snapshots in a pool of plain directories: each is a whole copy, and nothing but root's mode keeps it from being written. */
export class DirVolumeSnapshots extends VolumeSnapshots {
  readonly trees: SnapshotTrees;

  constructor(private readonly options: DirVolumeSnapshotsOptions) {
    super();
    const copies = new CopyTree(options.command);
    const removal = new RemoveTree(options.command);
    const clone = (source: string, target: string): Promise<void> => copies.copy(source, target);
    const operations: TreeOperations = {
      clone, fill: clone, remove: (path) => removal.remove(path), copyQuota: async () => {}, limit: async () => {},
      renew: (source, target, { former }) => copies.renew(source, target, former),
    };
    this.trees = new SnapshotTrees(options.state, operations);
  }

  override createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.on(volume, () => this.trees.create(volume, snapshot)); }
  override destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.on(volume, () => this.trees.destroy(volume, snapshot)); }

  override renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void> {
    return this.on(volume, () => this.trees.rename(volume, snapshot, newName));
  }

  override listSnapshots(volume: VolumeSpec): Promise<string[]> { return this.on(volume, () => this.trees.list(volume)); }

  override async measureSnapshots(_volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]> { return snapshots.map(() => -1); }

  override restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string, keepApart: boolean): Promise<void> {
    return this.on(volume, () => this.trees.restore(volume, snapshot, token, keepApart));
  }

  override undoRestore(volume: VolumeSpec, token: string): Promise<void> { return this.on(volume, () => this.trees.undoRestore(volume, token)); }
  override finishRestore(volume: VolumeSpec, token: string): Promise<void> { return this.on(volume, () => this.trees.finishRestore(volume, token)); }
  override copyVolume(request: CopyVolumeRequest): Promise<void> { return this.on(request.target, () => this.trees.copy(request)); }
  override refreshVolume(request: CopyVolumeRequest, token: string): Promise<void> { return this.on(request.target, () => this.trees.refresh(request, token)); }

  private async on<T>(volume: VolumeSpec, work: () => Promise<T>): Promise<T> {
    await this.options.ensurePoolMounted(volume.pool);
    return this.options.lock(volume, work);
  }
}
