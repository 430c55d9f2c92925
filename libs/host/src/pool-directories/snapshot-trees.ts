import { lstat, mkdir, readlink, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conflict, notFound, type StateDirectory } from '#kernel';
import { errnoName } from '../ioctl/ioctl.js';
import { exists, PoolDirectories } from './pool-directories.js';

/** How one driver copies and removes a volume's files. */
export interface TreeOperations {
  /** Makes `target`, which is absent, from `source`, a volume or snapshot of the same pool. */
  clone(source: string, target: string, options: { readonly readOnly: boolean }): Promise<void>;
  /** The same across pools: `source` may lie on any file system. */
  fill(source: string, target: string, options: { readonly readOnly: boolean }): Promise<void>;
  /** Absent is success. */
  remove(path: string): Promise<void>;
  /** Gives `target` the quota of `source`, where the driver has quotas. */
  copyQuota(source: string, target: string): Promise<void>;
  limit(path: string, sizeBytes: number): Promise<void>;
}

/** A volume as the layout knows it. */
export interface TreeVolume {
  readonly pool: { readonly name: string };
  readonly kind: string;
  readonly name: string;
}

const snapshotsMode = 0o700;

/**
 * Snapshots and copies of volumes in the layout all pools share, whatever clones the files. Everything is made under another name and
 * renamed, so what has its name is whole. Callers hold the volume's lock.
 */
export class SnapshotTrees {
  constructor(
    private readonly state: StateDirectory,
    private readonly trees: TreeOperations,
  ) {}

  async create(volume: TreeVolume, snapshot: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const source = directories.volume(kind, name);
    const target = directories.snapshot(kind, name, snapshot);
    if (await exists(target)) return;
    await this.requirePresent(volume, source);
    await mkdir(dirname(target), { recursive: true, mode: snapshotsMode });
    await this.make(directories.snapshotBeingMade(kind, name, snapshot), target, (made) => this.trees.clone(source, made, { readOnly: true }));
    await this.settleLink(volume);
  }

  async destroy(volume: TreeVolume, snapshot: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    await this.discard(directories.snapshot(kind, name, snapshot), directories.snapshotBeingMade(kind, name, snapshot));
    await this.settleLink(volume);
  }

  /** All of a volume that is being destroyed, and what restores have kept of it. */
  async destroyAll(volume: TreeVolume): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    for (const former of await directories.formers(kind, name)) await this.trees.remove(former);
    for (const snapshot of await directories.snapshotNames(kind, name)) await this.discard(directories.snapshot(kind, name, snapshot), directories.snapshotBeingMade(kind, name, snapshot));
    await this.settleLink(volume);
  }

  async rename(volume: TreeVolume, snapshot: string, newName: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const [from, to] = [directories.snapshot(kind, name, snapshot), directories.snapshot(kind, name, newName)];
    const taken = await exists(to);
    if (!(await exists(from))) {
      if (taken) return;
      throw notFound(`Snapshot "${snapshot}" of volume "${name}" does not exist in pool "${volume.pool.name}"`);
    }
    if (taken) throw conflict(`Snapshot "${newName}" of volume "${name}" exists already in pool "${volume.pool.name}"`);
    await rename(from, to);
  }

  list(volume: TreeVolume): Promise<string[]> {
    const { directories, kind, name } = this.at(volume);
    return directories.snapshotNames(kind, name);
  }

  /** Two renames, the first of which says that the restore has begun: repeated after a crash between them it goes on with the second. */
  async restore(volume: TreeVolume, snapshot: string, token: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const path = directories.volume(kind, name);
    const former = directories.former(kind, name, token);
    if ((await exists(former)) && (await exists(path))) return;
    const source = directories.snapshot(kind, name, snapshot);
    await this.requireSnapshot(volume, snapshot, source);
    for (const old of await directories.formers(kind, name)) if (old !== former) await this.trees.remove(old);
    await this.make(directories.beingMade(kind, name), path, async (made) => {
      await this.trees.clone(source, made, { readOnly: false });
      await this.trees.copyQuota((await exists(former)) ? former : path, made);
      if (!(await exists(former))) await rename(path, former);
    });
  }

  async undoRestore(volume: TreeVolume, token: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const former = directories.former(kind, name, token);
    await this.trees.remove(directories.beingMade(kind, name));
    if (!(await exists(former))) return;
    const old = directories.beingDeleted(kind, name);
    await this.trees.remove(old);
    await rename(directories.volume(kind, name), old).catch(unlessAbsent);
    await rename(former, directories.volume(kind, name));
    await this.trees.remove(old);
  }

  async finishRestore(volume: TreeVolume, token: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    await this.trees.remove(directories.former(kind, name, token));
  }

  async copy(request: {
    readonly source: TreeVolume; readonly sourceSnapshot: string; readonly target: TreeVolume; readonly snapshots: readonly string[]; readonly sizeBytes: number;
  }): Promise<void> {
    const from = this.at(request.source);
    const to = this.at(request.target);
    const path = to.directories.volume(to.kind, to.name);
    if (await exists(path)) return;
    const samePool = request.source.pool.name === request.target.pool.name;
    const copy = (source: string, target: string, readOnly: boolean): Promise<void> =>
      samePool ? this.trees.clone(source, target, { readOnly }) : this.trees.fill(source, target, { readOnly });
    for (const snapshot of request.snapshots) {
      const source = from.directories.snapshot(from.kind, from.name, snapshot);
      const target = to.directories.snapshot(to.kind, to.name, snapshot);
      if (await exists(target)) continue;
      await this.requireSnapshot(request.source, snapshot, source);
      await mkdir(dirname(target), { recursive: true, mode: snapshotsMode });
      await this.make(to.directories.snapshotBeingMade(to.kind, to.name, snapshot), target, (made) => copy(source, made, true));
    }
    const source = request.sourceSnapshot === '' ? from.directories.volume(from.kind, from.name) : from.directories.snapshot(from.kind, from.name, request.sourceSnapshot);
    if (request.sourceSnapshot === '') await this.requirePresent(request.source, source);
    else await this.requireSnapshot(request.source, request.sourceSnapshot, source);
    await this.make(to.directories.beingMade(to.kind, to.name), path, async (made) => {
      await copy(source, made, false);
      await this.trees.limit(made, request.sizeBytes);
    });
    await this.settleLink(request.target);
  }

  /** `snapshots/NAME` leads to a volume's snapshots as long as there are any, and their directory does not outlive them. */
  async settleLink(volume: TreeVolume): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const path = directories.snapshots(kind, name);
    if ((await directories.snapshotNames(kind, name)).length === 0) await rmdir(path).catch(unlessAbsent);
    if (kind !== 'container' && kind !== 'virtual-machine') return;
    const link = this.state.snapshotsLink(name);
    const target = await readlink(link).catch(() => undefined);
    if (await exists(path)) {
      if (target === path) return;
      await mkdir(dirname(link), { recursive: true, mode: snapshotsMode });
      await rm(link, { force: true });
      await symlink(path, link);
    } else if (target === path) await rm(link, { force: true });
  }

  private async make(made: string, path: string, fill: (made: string) => Promise<void>): Promise<void> {
    await this.trees.remove(made);
    try {
      await fill(made);
      await rename(made, path);
    } catch (error) {
      await this.trees.remove(made);
      throw error;
    }
  }

  /** Under its scratch name first, so that half a snapshot never has a snapshot's name. */
  private async discard(path: string, scratch: string): Promise<void> {
    await this.trees.remove(scratch);
    await rename(path, scratch).catch(unlessAbsent);
    await this.trees.remove(scratch);
  }

  private async requirePresent(volume: TreeVolume, path: string): Promise<void> {
    if (!(await exists(path))) throw notFound(`Volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
  }

  private async requireSnapshot(volume: TreeVolume, snapshot: string, path: string): Promise<void> {
    if ((await lstat(path).catch(() => undefined))?.isDirectory() !== true) {
      throw notFound(`Snapshot "${snapshot}" of volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    }
  }

  private at({ pool, kind, name }: TreeVolume): { directories: PoolDirectories; kind: string; name: string } {
    return { directories: new PoolDirectories(this.state.pool(pool.name)), kind, name };
  }
}

function unlessAbsent(error: unknown): void {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoName(error))) throw error;
}
