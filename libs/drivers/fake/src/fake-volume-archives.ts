import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { conflict, invalid, notFound, unavailable } from '#kernel';
import { tarEnd, tarHeader, tarPadding } from '#host';
import {
  VolumeArchives,
  type BackupInspection, type PackBackupRequest, type PackImageRequest, type TransferStarted, type UnpackBackupRequest, type UnshiftVolumeRequest, type VolumeFile, type VolumeSpec,
} from '#ports';
import { FakeFaults } from './fake-faults.js';
import type { FakeStorageDriver, FakeVolume } from './fake-storage.driver.js';
import type { FakeVolumeTransfer } from './fake-volume-transfer.js';

interface FakeBackup {
  readonly index: string;
  readonly content: string;
  readonly snapshots: [string, string][];
}

/** Archives of fake volumes: backups are JSON, images are tar archives that hold their metadata and the volume's content. */
export class FakeVolumeArchives extends VolumeArchives {
  /** By the volume's, or snapshot's, place and the file's name. */
  readonly files = new Map<string, string>();
  lastUnpacked: UnpackBackupRequest | undefined;
  readonly unshifted: UnshiftVolumeRequest[] = [];

  constructor(private readonly storage: FakeStorageDriver, private readonly transfers: FakeVolumeTransfer, private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async packBackup(request: PackBackupRequest): Promise<TransferStarted> {
    await this.faults.enter('archives.packBackup');
    return this.transfers.start(async (socket) => {
      const found = this.found(request.volume);
      const backup: FakeBackup = { index: request.index, content: found.content, snapshots: request.snapshots.map((name) => [name, contentOf(found, name)]) };
      await sent(socket, Buffer.from(JSON.stringify(backup)));
    });
  }

  override async packImage({ volume, snapshot, metadata, modifiedAt }: PackImageRequest): Promise<TransferStarted> {
    await this.faults.enter('archives.packImage');
    return this.transfers.start(async (socket) => {
      const members = [['metadata.yaml', metadata], ['rootfs/content', contentOf(this.found(volume), snapshot)]] as const;
      const blocks = members.flatMap(([name, text]) => {
        const content = Buffer.from(text);
        return [tarHeader({ name, sizeBytes: content.length, mode: 0o644, modifiedAt }), content, tarPadding(content.length)];
      });
      await sent(socket, Buffer.concat([...blocks, tarEnd()]));
    });
  }

  override async inspectBackup(path: string): Promise<BackupInspection> {
    await this.faults.enter('archives.inspectBackup');
    return { index: (await this.backup(path)).index };
  }

  override async unpackBackup(request: UnpackBackupRequest, signal: AbortSignal): Promise<void> {
    const { path, volume, snapshots, sizeBytes } = request;
    this.lastUnpacked = request;
    await this.faults.enter('archives.unpackBackup');
    const backup = await this.backup(path);
    if (signal.aborted) throw unavailable('The backup was given up');
    if (this.storage.pools.get(volume.pool.name)?.volumes.has(`${volume.kind}/${volume.name}`)) throw conflict(`Volume "${volume.name}" exists already in pool "${volume.pool.name}"`);
    const held = new Map(backup.snapshots);
    if (snapshots.some((name) => !held.has(name))) throw invalid('Failed to unpack the archive: a snapshot is missing');
    this.storage.adopt(volume, { content: backup.content, snapshots: new Map(snapshots.map((name) => [name, held.get(name)!])), sizeBytes });
  }

  override async unshiftVolume(request: UnshiftVolumeRequest): Promise<void> {
    await this.faults.enter('archives.unshiftVolume');
    this.found(request.volume);
    this.unshifted.push(request);
  }

  override async readVolumeFile(volume: VolumeSpec, snapshot: string, file: VolumeFile): Promise<string> {
    await this.faults.enter('archives.readVolumeFile');
    this.found(volume);
    return this.files.get(key(volume, snapshot, file)) ?? '';
  }

  override async writeVolumeFile(volume: VolumeSpec, file: VolumeFile, content: string): Promise<void> {
    await this.faults.enter('archives.writeVolumeFile');
    this.found(volume);
    this.files.set(key(volume, '', file), content);
  }

  private found(volume: VolumeSpec): FakeVolume {
    return this.storage.volume(volume);
  }

  private async backup(path: string): Promise<FakeBackup> {
    const text = await readFile(path, 'utf8').catch(() => { throw notFound(`Backup file "${path}" does not exist`); });
    if (text === '') throw invalid('EOF');
    if (!text.startsWith('{')) throw invalid('Unsupported compression');
    return JSON.parse(text) as FakeBackup;
  }
}

function contentOf(volume: FakeVolume, snapshot: string): string {
  const content = snapshot === '' ? volume.content : volume.snapshots.get(snapshot);
  if (content === undefined) throw notFound('No such snapshot');
  return content;
}

function key({ pool, kind, name }: VolumeSpec, snapshot: string, file: VolumeFile): string {
  return [pool.name, kind, name, snapshot, file].join('/');
}

async function sent(socket: Socket, bytes: Buffer): Promise<void> {
  socket.end(bytes);
  await once(socket, 'finish');
}
