import { chmod, mkdir, rename } from 'node:fs/promises';
import { randomHex, type StateDirectory } from '#kernel';
import { RemoveTree, TarStream, TransferTrees, type CommandRunner } from '#host';
import { VolumeStreams, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type TransferFormat, type VolumeSpec } from '#ports';
import type { DirVolumeSnapshots } from './dir-volume-snapshots.js';

export interface DirVolumeStreamsOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly snapshots: DirVolumeSnapshots;
  readonly ensurePoolMounted: (pool: PoolSpec) => Promise<void>;
  readonly lock: <T>(volume: VolumeSpec, work: () => Promise<T>) => Promise<T>;
}

/** Volumes of plain directories as one archive: the snapshots, oldest first, then the volume. */
export class DirVolumeStreams extends VolumeStreams {
  override readonly formats: readonly TransferFormat[] = ['tar'];
  private readonly places: TransferTrees;
  private readonly tar: TarStream;
  private readonly removal: RemoveTree;

  constructor(private readonly options: DirVolumeStreamsOptions) {
    super();
    this.places = new TransferTrees(options.state);
    this.tar = new TarStream(options.command);
    this.removal = new RemoveTree(options.command);
  }

  override async send({ volume, snapshots, sourceSnapshot }: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    await this.options.ensurePoolMounted(volume.pool);
    const scratch = this.places.scratchToSend(volume, randomHex(8));
    try {
      const pieces = await this.places.pieces(volume, snapshots, sourceSnapshot);
      const members = await this.places.stage(pieces, snapshots, scratch);
      await this.tar.send({ directory: scratch, members, fd, signal });
    } finally {
      await this.removal.remove(scratch);
    }
  }

  override async receive({ volume, snapshots, refreshToken }: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    const { trees } = this.options.snapshots;
    await this.options.ensurePoolMounted(volume.pool);
    await this.options.lock(volume, async () => {
      if (!refreshToken) await this.places.requireAbsent(volume);
      const scratch = this.places.scratchToReceive(volume);
      await this.removal.remove(scratch);
      try {
        for (const path of ['', '/volume', '/snapshots', ...snapshots.map((snapshot) => `/snapshots/${snapshot}`)]) await mkdir(`${scratch}${path}`, { mode: 0o700 });
        await this.tar.receive({ into: scratch, fd, signal });
        await (refreshToken ? trees.destroyThese(volume, snapshots) : trees.destroyAll(volume));
        for (const snapshot of snapshots) await chmod(`${scratch}/snapshots/${snapshot}`, 0o100);
        await this.places.adopt(volume, {
          volume: `${scratch}/volume`, snapshots: new Map(snapshots.map((snapshot) => [snapshot, `${scratch}/snapshots/${snapshot}`])),
        }, rename, refreshToken ? (path) => trees.replace(volume, path, refreshToken) : rename);
        await trees.settleLink(volume);
      } finally {
        await this.removal.remove(scratch);
      }
    });
  }
}
