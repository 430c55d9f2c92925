import { chmod, chown, lstat, mkdir, readdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { conflict, notFound, Mutex, type StateDirectory } from '#kernel';
import { CopyTree, exchangeNames, exists, PoolDirectories, RemoveTree, type CommandRunner } from '#host';
import { ServerDirectories, type ServerDirectory, type StorageDriver, type VolumeSpec } from '#ports';

export interface LocalServerDirectoriesOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly storage: StorageDriver;
  /** Image files come and go under it. */
  readonly imagesLock: Mutex;
  /** Whose each directory is where there is none to take after. */
  readonly empty: Readonly<Record<ServerDirectory, { readonly uid: number; readonly gid: number; readonly mode: number }>>;
}

/** Of a new file system. */
const foundEmpty = 'lost+found';

/**
 * A directory of the server is a directory, or a link to a volume. Another place is filled beside it, under `NAME.next`, and the two change their names in one
 * system call; whatever is called `NAME.next` at any other time is not used and goes.
 */
export class LocalServerDirectories extends ServerDirectories {
  private readonly trees: CopyTree;
  private readonly removal: RemoveTree;
  private readonly turns = new Mutex();

  constructor(private readonly options: LocalServerDirectoriesOptions) {
    super();
    this.trees = new CopyTree(options.command);
    this.removal = new RemoveTree(options.command);
  }

  override async isEmptyVolume(volume: VolumeSpec): Promise<boolean> {
    return (await content(await this.placeOf(volume))).length === 0;
  }

  override async placeDirectory(directory: ServerDirectory, volume: VolumeSpec | null): Promise<void> {
    await this.turns.run(() => (directory === 'images' ? this.options.imagesLock.run(() => this.place(directory, volume)) : this.place(directory, volume)));
  }

  private async place(directory: ServerDirectory, volume: VolumeSpec | null): Promise<void> {
    const path = this.options.state[directory];
    const next = `${path}.next`;
    const wanted = volume === null ? null : await this.placeOf(volume);
    await this.drop(next, path);
    const isLink = (await lstat(path)).isSymbolicLink();
    if (wanted === null ? !isLink : isLink && (await realpath(path).catch(() => '')) === (await realpath(wanted))) return;
    if (wanted !== null && (await content(wanted)).length > 0) throw conflict(`"${wanted}" is not empty`);
    try {
      await this.fill(directory, next, wanted);
      exchangeNames(next, path);
    } catch (error) {
      await this.drop(next, path);
      throw error;
    }
    await this.drop(next, path);
  }

  private async fill(directory: ServerDirectory, next: string, volume: string | null): Promise<void> {
    const path = this.options.state[directory];
    // A link to a volume that is no more: there is nothing to bring, and that must keep nobody from having a directory again.
    const here = await exists(path);
    if (volume === null) await mkdir(next, { mode: 0o700 });
    else await symlink(volume, next);
    for (const name of here ? await content(path) : []) await this.trees.copy(`${path}/${name}`, `${next}/${name}`);
    const { uid, gid, mode } = here ? await stat(path) : this.options.empty[directory];
    await chown(next, uid, gid);
    await chmod(next, mode & 0o7777);
    // What is removed afterwards must not be the only copy that has reached the disk.
    await this.options.command.run({ argv: ['sync', '-f', `${next}/.`], timeoutMs: 0 });
  }

  /** A place that is not used: a directory goes, a volume becomes an empty one of root's. */
  private async drop(unused: string, used: string): Promise<void> {
    const found = await lstat(unused).catch(() => undefined);
    if (found === undefined) return;
    if (!found.isSymbolicLink()) return this.removal.remove(unused);
    const volume = await realpath(unused).catch(() => '');
    if (volume !== '' && volume !== (await realpath(used).catch(() => ''))) {
      for (const name of await content(volume)) await this.removal.remove(`${volume}/${name}`);
      await chown(volume, 0, 0);
      await chmod(volume, 0o711);
    }
    await rm(unused);
  }

  private async placeOf(volume: VolumeSpec): Promise<string> {
    await this.options.storage.ensurePoolMounted(volume.pool);
    const path = new PoolDirectories(this.options.state.pool(volume.pool.name)).volume(volume.kind, volume.name);
    if (!(await exists(path))) throw notFound(`"${path}" does not exist`);
    return path;
  }
}

async function content(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name !== foundEmpty);
}
