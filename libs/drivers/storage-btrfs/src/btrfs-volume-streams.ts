import { chmod, mkdir, readdir } from 'node:fs/promises';
import { internal, randomHex, type StateDirectory } from '#kernel';
import { BtrfsStream, exists, RemoveTree, TarStream, TransferTrees, type BtrfsSubvolumes, type CommandRunner } from '#host';
import { VolumeStreams, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type TransferFormat } from '#ports';
import type { BtrfsVolumes } from './btrfs-volumes.js';

export interface BtrfsVolumeStreamsOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly subvolumes: BtrfsSubvolumes;
  readonly volumes: BtrfsVolumes;
  readonly ensurePoolMounted: (pool: PoolSpec) => Promise<void>;
}

interface Received {
  readonly volume: string;
  /** Directory of the snapshots. */
  readonly snapshots: string;
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

  constructor(private readonly options: BtrfsVolumeStreamsOptions) {
    super();
    this.places = new TransferTrees(options.state);
    this.streams = new BtrfsStream(options.command);
    this.tar = new TarStream(options.command);
    this.removal = new RemoveTree(options.command);
  }

  override async send({ volume, snapshots, sourceSnapshot, format }: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    await this.options.ensurePoolMounted(volume.pool);
    const pieces = await this.places.pieces(volume, snapshots, sourceSnapshot);
    const clone = this.places.scratchToSend(volume, randomHex(8));
    const stage = this.places.scratchToSend(volume, randomHex(8));
    try {
      await this.options.subvolumes.snapshot(pieces.volume, clone, { readOnly: true });
      if (format === 'tar') {
        const members = await this.places.stage({ ...pieces, volume: clone }, snapshots, stage);
        await this.tar.send({ directory: stage, members, fd, signal });
        return;
      }
      let parent: string | null = null;
      for (const path of [...pieces.snapshots, clone]) {
        await this.streams.send({ path, parent, fd, signal });
        parent = path;
      }
    } finally {
      await this.options.subvolumes.destroy(clone);
      await this.removal.remove(stage);
    }
  }

  override async receive(request: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    const { volume, snapshots, sizeBytes, refreshToken } = request;
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
        const received = request.format === 'tar' ? await this.unpack(request, scratch, fd, signal) : await this.take(request, scratch, fd, signal);
        await (refreshToken ? trees.destroyThese(volume, snapshots) : trees.destroyAll(volume));
        if (sizeBytes > 0) await volumes.limitAt(received.volume, sizeBytes);
        const pieces = new Map(snapshots.map((snapshot) => [snapshot, `${received.snapshots}/${snapshot}`]));
        // A read-only subvolume cannot be moved to another directory; a clone of it can be made anywhere.
        await this.places.adopt(volume, { volume: received.volume, snapshots: pieces }, (path, target) => subvolumes.snapshot(path, target, { readOnly: true }),
          refreshToken ? (path) => trees.replace(volume, path, refreshToken) : undefined);
        await trees.settleLink(volume);
      } finally {
        await subvolumes.destroy(scratch);
      }
    });
  }

  /** Where the writable volume and its snapshots are now. */
  private async take({ snapshots }: ReceiveVolumeRequest, scratch: string, fd: number, signal: AbortSignal): Promise<Received> {
    await this.streams.receive({ into: scratch, fd, signal });
    const sent = (await readdir(scratch)).find((name) => name.startsWith(volumePrefix));
    for (const snapshot of snapshots) if (!(await exists(`${scratch}/${snapshot}`))) throw internal(`The stream ended without snapshot "${snapshot}"`);
    if (sent === undefined) throw internal('The stream ended without the volume');
    const path = `${scratch}/.roost-volume`;
    await this.options.subvolumes.snapshot(`${scratch}/${sent}`, path);
    return { volume: path, snapshots: scratch };
  }

  /** An archive, each piece into a subvolume of its own. */
  private async unpack({ snapshots }: ReceiveVolumeRequest, scratch: string, fd: number, signal: AbortSignal): Promise<Received> {
    const { subvolumes } = this.options;
    await mkdir(`${scratch}/snapshots`, { mode: 0o700 });
    for (const path of ['volume', ...snapshots.map((snapshot) => `snapshots/${snapshot}`)]) await subvolumes.create(`${scratch}/${path}`);
    await this.tar.receive({ into: scratch, fd, signal });
    for (const snapshot of snapshots) await chmod(`${scratch}/snapshots/${snapshot}`, 0o100);
    return { volume: `${scratch}/volume`, snapshots: `${scratch}/snapshots` };
  }
}
