import { mkdir, rename, stat, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conflict, notFound, type StateDirectory } from '#kernel';
import { closeVolume, exists, PoolDirectories } from './pool-directories.js';
import type { TreeVolume } from './snapshot-trees.js';

const snapshotsMode = 0o700;

/** Where the pieces of a volume are, on the sending side: real paths of its snapshots, oldest first, and of what goes as its content. */
export interface SentPieces {
  readonly snapshots: readonly string[];
  readonly volume: string;
}

/** The places of a volume's pieces in the layout all pools share, for a transfer. Callers hold the volume's lock. */
export class TransferTrees {
  constructor(private readonly state: StateDirectory) {}

  /** @throws `not-found`, before anything is sent. */
  async pieces(volume: TreeVolume, snapshots: readonly string[], sourceSnapshot: string): Promise<SentPieces> {
    const { directories, kind, name } = this.at(volume);
    const pieces: SentPieces = {
      snapshots: snapshots.map((snapshot) => directories.snapshot(kind, name, snapshot)),
      volume: sourceSnapshot === '' ? directories.volume(kind, name) : directories.snapshot(kind, name, sourceSnapshot),
    };
    for (const path of [...pieces.snapshots, pieces.volume]) if (!(await exists(path))) throw notFound(`"${path}" does not exist`);
    return pieces;
  }

  /** Returns what throws `conflict` once one of the pieces is another than it is now: what was read of them until then need not be whole. */
  async watch(pieces: SentPieces): Promise<() => Promise<void>> {
    const paths = [...pieces.snapshots, pieces.volume];
    const identities = async (): Promise<string[]> => Promise.all(paths.map((path) => stat(path).then(({ dev, ino }) => `${dev}:${ino}`, () => '')));
    const before = await identities();
    return async () => {
      const after = await identities();
      const changed = paths.find((_, index) => after[index] !== before[index]);
      if (changed !== undefined) throw conflict(`"${changed}" was replaced while it was read`);
    };
  }

  /** A scratch directory in which links name the pieces by their part and not by their place: `volume`, `snapshots/s0`. */
  async stage(pieces: SentPieces, snapshots: readonly string[], scratch: string): Promise<string[]> {
    await mkdir(`${scratch}/snapshots`, { recursive: true, mode: 0o700 });
    await symlink(pieces.volume, `${scratch}/volume`);
    for (const [index, snapshot] of snapshots.entries()) await symlink(pieces.snapshots[index]!, `${scratch}/snapshots/${snapshot}`);
    return [...snapshots.map((snapshot) => `snapshots/${snapshot}`), 'volume'];
  }

  /** A scratch name beside the volume, of one attempt to send it: several may be under way. */
  scratchToSend(volume: TreeVolume, token: string): string {
    const { directories, kind, name } = this.at(volume);
    return `${dirname(directories.volume(kind, name))}/.roost-send-${token}`;
  }

  /** Where pieces are received before they get their names; the same after every crash. */
  scratchToReceive(volume: TreeVolume): string {
    const { directories, kind, name } = this.at(volume);
    return directories.beingMade(kind, name);
  }

  async requireAbsent(volume: TreeVolume): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    if (await exists(directories.volume(kind, name))) throw conflict(`Volume "${name}" exists already in pool "${volume.pool.name}"`);
  }

  /** Gives received pieces their names, the volume last: what has its name is whole, snapshots included. */
  async adopt(
    volume: TreeVolume, received: { readonly volume: string; readonly snapshots: ReadonlyMap<string, string> },
    placeSnapshot: (path: string, target: string) => Promise<void>, placeVolume: (path: string, target: string) => Promise<void> = rename,
  ): Promise<void> {
    const { directories, kind, name } = this.at(volume);
    if (received.snapshots.size > 0) await mkdir(directories.snapshots(kind, name), { recursive: true, mode: snapshotsMode });
    for (const [snapshot, path] of received.snapshots) await placeSnapshot(path, directories.snapshot(kind, name, snapshot));
    // A custom volume's top directory is whatever those who use it made of it; what lies around it keeps others out.
    if (kind !== 'custom') await closeVolume(received.volume);
    await placeVolume(received.volume, directories.volume(kind, name));
  }

  private at({ pool, kind, name }: TreeVolume): { directories: PoolDirectories; kind: string; name: string } {
    return { directories: new PoolDirectories(this.state.pool(pool.name)), kind, name };
  }
}
