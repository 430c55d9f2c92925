import { chmod, mkdir, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { internal, randomHex, type StateDirectory } from '#kernel';
import { BtrfsStream, BtrfsTools, closeVolume, exists, PoolDirectories, RemoveTree, TarStream, TransferTrees, type BtrfsSubvolumes, type CommandRunner } from '#host';
import {
  VolumeStreams,
  type BuildVolumeRequest, type NativeStreams, type PiecesRequest, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type SnapshotIdentity, type TransferFormat, type VolumePieces,
  type VolumeSpec,
} from '#ports';
import { BtrfsNativeStreams, type Received } from './btrfs-native-streams.js';
import type { BtrfsVolumes } from './btrfs-volumes.js';

export interface BtrfsVolumeStreamsOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly subvolumes: BtrfsSubvolumes;
  readonly volumes: BtrfsVolumes;
  readonly ensurePoolMounted: (pool: PoolSpec) => Promise<void>;
}

/** What the volume itself is called in a btrfs stream; no snapshot's name begins so. */
const volumePrefix = '.roost-send-';

/**
 * Volumes on btrfs as streams: to another btrfs by send and receive, each piece as the difference to the one before; elsewhere as an archive.
 * The volume is sent from a read-only clone made for it.
 */
export class BtrfsVolumeStreams extends VolumeStreams {
  override readonly formats: readonly TransferFormat[] = ['btrfs', 'tar'];
  private readonly places: TransferTrees;
  private readonly streams: BtrfsStream;
  private readonly tar: TarStream;
  private readonly removal: RemoveTree;
  override readonly native: NativeStreams;

  constructor(private readonly options: BtrfsVolumeStreamsOptions) {
    super();
    this.places = new TransferTrees(options.state);
    this.streams = new BtrfsStream(options.command);
    this.tar = new TarStream(options.command);
    this.removal = new RemoveTree(options.command);
    this.native = this.nativeStreams();
  }

  override async send(request: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    await this.withPieces(request, async (pieces, scratch) => {
      if (request.format === 'tar') {
        const members = await this.places.stage(pieces, request.snapshots, scratch);
        return this.tar.send({ directory: scratch, members, fd, signal });
      }
      const lying = new PoolDirectories(this.options.state.pool(request.volume.pool.name));
      let former: string | null = null;
      for (const [index, path] of [...pieces.snapshots, pieces.volume].entries()) {
        const named = request.parents?.[request.snapshots[index] ?? ''];
        const sent = named === undefined ? -1 : request.snapshots.indexOf(named);
        const parent: string | null = named === undefined ? former : (pieces.snapshots[sent] ?? lying.snapshot(request.volume.kind, request.volume.name, named));
        await this.native.sendPiece({ path, parent }, fd, signal);
        former = path;
      }
    });
  }

  override async identify(volume: VolumeSpec): Promise<SnapshotIdentity[]> {
    await this.options.ensurePoolMounted(volume.pool);
    const directories = new PoolDirectories(this.options.state.pool(volume.pool.name));
    const names = await directories.snapshotNames(volume.kind, volume.name);
    const found = await Promise.all(names.map(async (snapshot) => ({ snapshot, ids: await this.idsOf(directories.snapshot(volume.kind, volume.name, snapshot)) })));
    return found.filter(({ ids }) => ids.length > 0);
  }

  /** Its own, and what it was received as, under which it is sent on; none where it need not be what it was. */
  private async idsOf(path: string): Promise<string[]> {
    const { subvolumes } = this.options;
    if (!(await subvolumes.isSubvolume(path))) return [];
    const { readOnly, uuid, receivedUuid } = await subvolumes.identity(path);
    return readOnly ? [uuid, receivedUuid].filter((id) => id !== '') : [];
  }

  override async receive(request: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    if (request.format === 'tar') return this.build(request, (scratch) => this.tar.receive({ into: scratch, fd, signal }));
    await this.make(request, (scratch) => this.take(request, scratch, fd, signal));
  }

  override async withPieces({ volume, snapshots, sourceSnapshot }: PiecesRequest, use: (pieces: VolumePieces, scratch: string) => Promise<void>): Promise<void> {
    await this.options.ensurePoolMounted(volume.pool);
    const pieces = await this.places.pieces(volume, snapshots, sourceSnapshot);
    const clone = this.places.scratchToSend(volume, randomHex(8));
    const scratch = this.places.scratchToSend(volume, randomHex(8));
    const flats = this.places.scratchToSend(volume, randomHex(8));
    try {
      await this.flat(pieces.volume, clone);
      await mkdir(scratch, { mode: 0o700 });
      await mkdir(flats, { mode: 0o700 });
      const lent = { snapshots: await Promise.all(pieces.snapshots.map((path) => this.withoutNested(path, flats))), volume: clone };
      const verify = await this.places.watch(lent);
      await use(lent, scratch);
      await verify();
    } finally {
      await this.options.subvolumes.destroy(clone);
      for (const name of await readdir(flats).catch(() => [])) await this.options.subvolumes.destroy(`${flats}/${name}`);
      await this.removal.remove(flats);
      await this.removal.remove(scratch);
    }
  }

  /** A snapshot as it is sent: with subvolumes inside it a clone, under the same name, in which they are directories. Neither format knows them. */
  private async withoutNested(path: string, flats: string): Promise<string> {
    if ((await this.options.subvolumes.nested(path)).length === 0) return path;
    const clone = `${flats}/${basename(path)}`;
    await this.flat(path, clone);
    return clone;
  }

  private async flat(path: string, clone: string): Promise<void> {
    const { volumes, subvolumes } = this.options;
    if ((await subvolumes.nested(path)).length === 0) return subvolumes.snapshot(path, clone, { readOnly: true });
    await volumes.nested.flatten(path, clone);
    await subvolumes.setReadOnly(clone, true);
  }

  override async edit(path: string, work: () => Promise<void>): Promise<void> {
    const { subvolumes } = this.options;
    const readOnly = await subvolumes.isReadOnly(path);
    if (readOnly) await subvolumes.setReadOnly(path, false);
    try {
      await work();
    } finally {
      if (readOnly) await subvolumes.setReadOnly(path, true);
    }
  }

  override async build(request: BuildVolumeRequest, fill: (scratch: string) => Promise<void>): Promise<void> {
    const { subvolumes } = this.options;
    const { snapshots } = request;
    await this.make(request, async (scratch) => {
      await mkdir(`${scratch}/snapshots`, { mode: 0o700 });
      for (const path of ['volume', ...snapshots.map((snapshot) => `snapshots/${snapshot}`)]) await subvolumes.create(`${scratch}/${path}`);
      await fill(scratch);
      // As with the volume itself, whoever uses a custom one decides about its top directory.
      if (request.volume.kind !== 'custom') for (const snapshot of snapshots) await closeVolume(`${scratch}/snapshots/${snapshot}`);
      return { volume: `${scratch}/volume`, snapshots: new Map(snapshots.map((snapshot) => [snapshot, `${scratch}/snapshots/${snapshot}`])) };
    });
  }

  private async make({ volume, snapshots, sizeBytes, refreshToken }: BuildVolumeRequest, fill: (scratch: string) => Promise<Received>): Promise<void> {
    const { subvolumes, volumes } = this.options;
    const trees = volumes.snapshotTrees;
    await this.options.ensurePoolMounted(volume.pool);
    await volumes.lock(volume, async () => {
      if (!refreshToken) await this.places.requireAbsent(volume);
      const scratch = this.places.scratchToReceive(volume);
      await subvolumes.destroy(scratch);
      try {
        await subvolumes.create(scratch);
        await chmod(scratch, 0o700);
        const received = await fill(scratch);
        await (refreshToken ? trees.destroyThese(volume, snapshots) : trees.destroyAll(volume));
        if (sizeBytes > 0) await volumes.limitAt(received.volume, sizeBytes);
        // A read-only subvolume cannot be moved to another directory; a clone of it can be made anywhere.
        await this.places.adopt(volume, received, (path, target) => subvolumes.snapshot(path, target, { readOnly: true }),
          refreshToken ? (path) => trees.replace(volume, path, refreshToken) : undefined);
        await trees.settleLink(volume);
      } finally {
        await subvolumes.destroy(scratch);
      }
    });
  }

  /** Where the writable volume and its snapshots are now. */
  private async take({ volume, snapshots }: ReceiveVolumeRequest, scratch: string, fd: number, signal: AbortSignal): Promise<Received> {
    await this.streams.receiveInPool({ pool: this.options.state.pool(volume.pool.name), into: scratch, fd, signal });
    const sent = (await readdir(scratch)).find((name) => name.startsWith(volumePrefix));
    for (const snapshot of snapshots) if (!(await exists(`${scratch}/${snapshot}`))) throw internal(`The stream ended without snapshot "${snapshot}"`);
    if (sent === undefined) throw internal('The stream ended without the volume');
    return { volume: await this.writable(scratch, sent), snapshots: new Map(snapshots.map((snapshot) => [snapshot, `${scratch}/${snapshot}`])) };
  }

  private async writable(scratch: string, received: string): Promise<string> {
    const path = `${scratch}/.roost-volume`;
    await this.options.subvolumes.snapshot(`${scratch}/${received}`, path);
    return path;
  }

  private nativeStreams(): NativeStreams {
    return new BtrfsNativeStreams({
      streams: this.streams, tools: new BtrfsTools(this.options.command), subvolumes: this.options.subvolumes,
      make: (request, fill) => this.make(request, fill), writable: (scratch, received) => this.writable(scratch, received),
    });
  }
}
