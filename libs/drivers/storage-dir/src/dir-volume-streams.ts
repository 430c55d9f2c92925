import { mkdir, rename } from 'node:fs/promises';
import { randomHex, type StateDirectory } from '#kernel';
import { closeVolume, RemoveTree, TarStream, TransferTrees, type CommandRunner } from '#host';
import {
  VolumeStreams,
  type BuildVolumeRequest, type PiecesRequest, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type SnapshotIdentity, type TransferFormat, type VolumePieces, type VolumeSpec,
} from '#ports';
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
  override readonly native = null;
  private readonly places: TransferTrees;
  private readonly tar: TarStream;
  private readonly removal: RemoveTree;

  constructor(private readonly options: DirVolumeStreamsOptions) {
    super();
    this.places = new TransferTrees(options.state);
    this.tar = new TarStream(options.command);
    this.removal = new RemoveTree(options.command);
  }

  override async identify(): Promise<SnapshotIdentity[]> {
    return [];
  }

  override async send(request: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    await this.withPieces(request, async (pieces, scratch) => {
      const members = await this.places.stage(pieces, request.snapshots, scratch);
      await this.tar.send({ directory: scratch, members, fd, signal });
    });
  }

  override async receive(request: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void> {
    await this.build(request, (scratch) => this.tar.receive({ into: scratch, fd, signal }));
  }

  /** The volume as it is, whoever changes it meanwhile. */
  override async withPieces({ volume, snapshots, sourceSnapshot }: PiecesRequest, use: (pieces: VolumePieces, scratch: string) => Promise<void>): Promise<void> {
    await this.options.ensurePoolMounted(volume.pool);
    const scratch = this.places.scratchToSend(volume, randomHex(8));
    const pieces = await this.places.pieces(volume, snapshots, sourceSnapshot);
    const verify = await this.places.watch(pieces);
    await mkdir(scratch, { mode: 0o700 });
    try {
      await use(pieces, scratch);
      await verify();
    } finally {
      await this.removal.remove(scratch);
    }
  }

  override edit(_path: string, work: () => Promise<void>): Promise<void> {
    return work();
  }

  override async build({ volume, snapshots, refreshToken }: BuildVolumeRequest, fill: (scratch: string) => Promise<void>): Promise<void> {
    const { trees } = this.options.snapshots;
    await this.options.ensurePoolMounted(volume.pool);
    await this.options.lock(volume, async () => {
      if (!refreshToken) await this.places.requireAbsent(volume);
      const scratch = this.places.scratchToReceive(volume);
      await this.removal.remove(scratch);
      try {
        for (const path of ['', '/volume', '/snapshots', ...snapshots.map((snapshot) => `/snapshots/${snapshot}`)]) await mkdir(`${scratch}${path}`, { mode: 0o700 });
        await fill(scratch);
        await (refreshToken ? trees.destroyThese(volume, snapshots) : trees.destroyAll(volume));
        // As with the volume itself, whoever uses a custom one decides about its top directory.
        if (volume.kind !== 'custom') for (const snapshot of snapshots) await closeVolume(`${scratch}/snapshots/${snapshot}`);
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
