import { lstat, mkdir, readlink, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conflict, notFound, type StateDirectory } from '#kernel';
import { errnoName } from '../ioctl/ioctl.js';
import { exists, PoolDirectories } from './pool-directories.js';

/** How one driver copies and removes a volume's files. */
export interface TreeOperations {
  /** Makes `target`, which is absent, from `source`, a volume or snapshot of the same pool. */
  clone(source: string, target: string, options: { readonly readOnly: boolean }): Promise<void>;
  /** The same across pools: `source` may lie on any file system. `like`, of the target's pool, holds much of the same, for drivers that can share it. */
  fill(source: string, target: string, options: { readonly readOnly: boolean; readonly like: string | null }): Promise<void>;
  /** Makes `target` from `source`, of any pool, where `former` is what it replaces: only one of the two will live on, so they may share what both hold. */
  renew(source: string, target: string, options: { readonly former: string; readonly samePool: boolean }): Promise<void>;
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

/** What is copied, and what it becomes. */
export interface TreeCopy {
  readonly source: TreeVolume;
  /** Empty for the present content. */
  readonly sourceSnapshot: string;
  readonly target: TreeVolume;
  readonly snapshots: readonly string[];
  readonly sizeBytes: number;
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
    await this.destroyThese(volume, await directories.snapshotNames(kind, name));
    for (const path of await directories.hiddenSnapshots(kind, name)) await this.trees.remove(path);
    await this.settleLink(volume);
  }

  /** Those named, before others of these names are put in their place. */
  async destroyThese(volume: TreeVolume, snapshots: readonly string[]): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    for (const snapshot of snapshots) await this.discard(directories.snapshot(kind, name, snapshot), directories.snapshotBeingMade(kind, name, snapshot));
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

  /**
   * Two renames, the first of which says that the restore has begun: repeated after a crash between them it goes on with the second.
   * Unless kept apart, the former content lends its files: a restore that brings back little then writes little.
   */
  async restore(volume: TreeVolume, snapshot: string, token: string, keepApart: boolean): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const path = directories.volume(kind, name);
    const former = directories.former(kind, name, token);
    if ((await exists(former)) && (await exists(path))) return;
    const source = directories.snapshot(kind, name, snapshot);
    await this.requireSnapshot(volume, snapshot, source);
    for (const old of await directories.formers(kind, name)) if (old !== former) await this.trees.remove(old);
    await this.make(directories.beingMade(kind, name), path, async (made) => {
      const replaced = (await exists(former)) ? former : path;
      if (keepApart) await this.trees.clone(source, made, { readOnly: false });
      else await this.trees.renew(source, made, { former: replaced, samePool: true });
      await this.trees.copyQuota(replaced, made);
      if (replaced === path) await rename(path, former);
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

  async copy(request: TreeCopy): Promise<void> {
    const to = this.at(request.target);
    const path = to.directories.volume(to.kind, to.name);
    if (await exists(path)) return;
    const last = await this.copySnapshots(request, null);
    const source = await this.copied(request);
    await this.make(to.directories.beingMade(to.kind, to.name), path, async (made) => {
      if (samePool(request)) await this.trees.clone(source, made, { readOnly: false });
      else await this.trees.fill(source, made, { readOnly: false, like: last });
      await this.trees.limit(made, request.sizeBytes);
    });
    await this.settleLink(request.target);
  }

  /** Like a restore, from another volume: snapshots that are missing are added, then the content is replaced, and the former one kept under the token. */
  async refresh(request: TreeCopy, token: string): Promise<void> {
    const { directories, kind, name } = this.at(request.target);
    const path = directories.volume(kind, name);
    const former = directories.former(kind, name, token);
    if ((await exists(former)) && (await exists(path))) return;
    if (!(await exists(former))) await this.requirePresent(request.target, path);
    for (const old of await directories.formers(kind, name)) if (old !== former) await this.trees.remove(old);
    const source = await this.copied(request);
    await this.copySnapshots(request, (await exists(former)) ? former : path);
    await this.make(directories.beingMade(kind, name), path, async (made) => {
      const replaced = (await exists(former)) ? former : path;
      await this.trees.renew(source, made, { former: replaced, samePool: samePool(request) });
      await this.trees.copyQuota(replaced, made);
      if (replaced === path) await rename(path, former);
    });
    await this.settleLink(request.target);
  }

  /** Puts a received volume in the place of the one that is there, as `refresh` does. */
  async replace(volume: TreeVolume, received: string, token: string): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    const path = directories.volume(kind, name);
    const former = directories.former(kind, name, token);
    for (const old of await directories.formers(kind, name)) if (old !== former) await this.trees.remove(old);
    await this.trees.copyQuota((await exists(former)) ? former : path, received);
    // A former attempt may have come to nothing after it had replaced the content: what was there first is what is kept.
    if (await exists(former)) await this.trees.remove(path);
    else await rename(path, former);
    await rename(received, path);
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

  /** Those the target lacks, each like the one before. @returns the last one of all, or `like` where there are none. */
  private async copySnapshots(request: TreeCopy, like: string | null): Promise<string | null> {
    const [from, to] = [this.at(request.source), this.at(request.target)];
    let former = like;
    for (const snapshot of request.snapshots) {
      const source = from.directories.snapshot(from.kind, from.name, snapshot);
      const target = to.directories.snapshot(to.kind, to.name, snapshot);
      if (!(await exists(target))) {
        await this.requireSnapshot(request.source, snapshot, source);
        await mkdir(dirname(target), { recursive: true, mode: snapshotsMode });
        await this.make(to.directories.snapshotBeingMade(to.kind, to.name, snapshot), target, (made) =>
          (samePool(request) ? this.trees.clone(source, made, { readOnly: true }) : this.trees.fill(source, made, { readOnly: true, like: former })));
      }
      former = target;
    }
    return former;
  }

  /** Where what is copied lies. */
  private async copied({ source, sourceSnapshot }: TreeCopy): Promise<string> {
    const { directories, kind, name } = this.at(source);
    const path = sourceSnapshot === '' ? directories.volume(kind, name) : directories.snapshot(kind, name, sourceSnapshot);
    await (sourceSnapshot === '' ? this.requirePresent(source, path) : this.requireSnapshot(source, sourceSnapshot, path));
    return path;
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

function samePool({ source, target }: TreeCopy): boolean {
  return source.pool.name === target.pool.name;
}

function unlessAbsent(error: unknown): void {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoName(error))) throw error;
}
