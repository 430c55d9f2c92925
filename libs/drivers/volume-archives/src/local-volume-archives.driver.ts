import { existsSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { internal, invalid, unavailable, type StateDirectory } from '#kernel';
import { compressorOf } from '#config-schema';
import { blockFile, compressed, isInstalled, PoolDirectories, ReceivedPieces, TarStream, type ArchiveOutput, type CommandRunner } from '#host';
import {
  VolumeArchives,
  type BackupInspection, type IdmapEntry, type PackBackupRequest, type PackImageRequest, type PoolSpec, type StorageDriver, type TransferStarted, type UnpackBackupRequest, type UnshiftVolumeRequest,
  type VolumeFile, type VolumeSpec, type VolumeStreams,
} from '#ports';
import { archivePrefix, indexMember, layoutOf, optimizedHeader, type SubvolumeOfHeader } from './archive-layout.rules.js';
import { BackupFiles } from './backup-files.js';
import { BackupMembers } from './backup-members.js';
import { isDirectory, readSmallFile, replaceFile } from './volume-files.js';
import { copyFile, stageTrees, streamFile } from './archive-pieces.js';
import { DiskFiles } from './disk-files.js';

export interface LocalVolumeArchivesOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly storage: StorageDriver;
  /** By the pool's driver. */
  readonly drivers: ReadonlyMap<string, VolumeStreams>;
  /** Makes an endpoint for what `work` writes. */
  readonly startSending: (endpoint: { readonly endpointUid: number; readonly endpointGid: number }, work: (fd: number, signal: AbortSignal) => Promise<void>) => TransferStarted;
}

/** The configuration of thousands of snapshots fits; what does not was made to fill the memory. */
const indexBytesMax = 32 * 1024 * 1024;

/** What refusals speak of. */
const what = 'The backup';

/** Volumes in archives, by GNU tar, squashfs-tools and the drivers' own streams. */
export class LocalVolumeArchives extends VolumeArchives {
  private readonly members: BackupMembers;
  private readonly trees: TarStream;
  private readonly backups: BackupFiles;
  private readonly disks: DiskFiles;
  private readonly pieces: ReceivedPieces;

  constructor(private readonly options: LocalVolumeArchivesOptions) {
    super();
    this.members = new BackupMembers(options.command);
    this.trees = new TarStream(options.command);
    this.backups = new BackupFiles(options.state);
    this.disks = new DiskFiles(options.command, this.members);
    this.pieces = new ReceivedPieces(options.command);
  }

  override async packBackup(request: PackBackupRequest): Promise<TransferStarted> {
    const { volume, snapshots, optimized } = request;
    const streams = this.of(volume.pool);
    if (optimized && streams.native === null) throw invalid(`Storage driver "${volume.pool.driver}" has no backups of its own kind`);
    return this.start(request, async (output, signal) => {
      await output.file({ name: indexMember, mode: 0o644, modifiedAt: now() }, Buffer.from(request.index));
      await streams.withPieces({ volume, snapshots, sourceSnapshot: '' }, async (pieces, scratch) => {
        const layout = layoutOf(volume.kind);
        const named = [...snapshots.map((snapshot, index) => ({ snapshot, path: pieces.snapshots[index]!, name: `${layout.snapshots}/${snapshot}` })), { snapshot: null, path: pieces.volume, name: layout.volume }];
        if (optimized) return this.packStreams(streams, named, scratch, output, signal);
        const files = volume.block === true ? named.map(({ path, name }) => ({ path: blockFile(path), name: `${name}.img` })) : named;
        await stageTrees(files, scratch);
        const members = files.map(({ name }) => (volume.block === true ? name : `${name}/.`));
        await this.trees.pack({ directory: scratch, members, followLinks: volume.block === true, prefix: archivePrefix, output, signal });
      });
    });
  }

  override async packImage(request: PackImageRequest): Promise<TransferStarted> {
    const { volume, snapshot, metadata, modifiedAt, idmap } = request;
    const streams = this.of(volume.pool);
    return this.start(request, (output, signal) => streams.withPieces({ volume, snapshots: [], sourceSnapshot: snapshot }, async (pieces) => {
      await output.file({ name: 'metadata.yaml', mode: 0o644, modifiedAt }, Buffer.from(metadata));
      const members = ['rootfs', ...((await isDirectory(`${pieces.volume}/templates`)) ? ['templates'] : [])];
      await this.trees.pack({ directory: pieces.volume, members, enter: userNamespace(idmap), output, signal });
    }));
  }

  override inspectBackup(path: string): Promise<BackupInspection> {
    return this.backups.open(path, async (backup) => {
      const index = await this.members.read(backup, indexMember, indexBytesMax);
      if (index === undefined) throw invalid('Backup is missing index.yaml');
      return { index };
    });
  }

  override async unpackBackup(request: UnpackBackupRequest, signal: AbortSignal): Promise<void> {
    const { volume, optimized } = request;
    const streams = this.of(volume.pool);
    await this.backups.open(request.path, async (backup) => {
      if (!optimized) {
        return streams.build(request, async (scratch) => {
          if (volume.block === true) await this.disks.unpack(request, backup, scratch, signal);
          else await this.members.unpackTrees(backup, layoutOf(volume.kind), request.snapshots, scratch, signal);
          await this.pieces.settle(request, scratch, what, signal);
          if (signal.aborted) throw unavailable('The backup was given up');
        });
      }
      if (streams.native === null) throw invalid(`Optimized backup cannot be unpacked into a storage pool of driver "${volume.pool.driver}"`);
      const layout = layoutOf(volume.kind);
      await streams.native.build(request, (snapshot, to) => {
        const member = `${archivePrefix}${snapshot === null ? layout.volume : `${layout.snapshots}/${snapshot}`}.bin`;
        return this.members.copy(backup, member, to, signal);
      }, { check: this.pieces.check(volume, what), rewrites: this.rewrites(request, signal) }, signal);
    });
  }

  /** What is to be done to pieces of streams, by their snapshot's name, null for the volume. */
  private rewrites({ shifted = [] }: UnpackBackupRequest, signal: AbortSignal): ReadonlyMap<string | null, (path: string) => Promise<void>> {
    return new Map(shifted.map(({ snapshot, idmap }) => [snapshot === '' ? null : snapshot, (path: string) => this.pieces.unshift(path, idmap, signal)]));
  }

  override async unshiftVolume({ volume, snapshots, idmap }: UnshiftVolumeRequest): Promise<void> {
    const streams = this.of(volume.pool);
    for (const snapshot of [...snapshots, '']) {
      const path = await this.directory(volume, snapshot);
      if (await isMapped(path, idmap)) await streams.edit(path, () => this.pieces.unshift(path, idmap));
    }
  }

  override async readVolumeFile(volume: VolumeSpec, snapshot: string, file: VolumeFile): Promise<string> {
    return readSmallFile(`${await this.directory(volume, snapshot)}/${file}`);
  }

  override async writeVolumeFile(volume: VolumeSpec, file: VolumeFile, content: string): Promise<void> {
    await replaceFile(await this.directory(volume, ''), file, content);
  }

  private start(request: PackBackupRequest | PackImageRequest, fill: (output: ArchiveOutput, signal: AbortSignal) => Promise<void>): TransferStarted {
    const compressor = fastest(compressorOf(request.compression));
    const program = compressor?.[0] === 'squashfs' ? 'sqfstar' : compressor?.[0];
    if (program !== undefined && !isInstalled(program)) throw internal(`exec: "${program}": executable file not found in $PATH`);
    return this.options.startSending(request, (fd, signal) => compressed({ command: this.options.command, compressor, fd, directory: this.options.state.run, signal }, fill));
  }

  /** Each stream goes through a file, for its length comes before it in the archive. */
  private async packStreams(
    { native }: VolumeStreams, pieces: readonly { readonly snapshot: string | null; readonly path: string; readonly name: string }[], scratch: string, output: ArchiveOutput, signal: AbortSignal,
  ): Promise<void> {
    const known: SubvolumeOfHeader[] = [];
    for (const { snapshot, path } of pieces) known.push({ snapshot, uuid: await native!.identify(path) });
    await output.file({ name: `${archivePrefix}optimized_header.yaml`, mode: 0o644, modifiedAt: now() }, Buffer.from(optimizedHeader(known)));
    let parent: string | null = null;
    for (const { path, name } of pieces) {
      const from = parent;
      const stream = await streamFile(`${scratch}/stream`, (fd) => native!.sendPiece({ path, parent: from }, fd, signal));
      await output.header({ name: `${archivePrefix}${name}.bin`, sizeBytes: stream.sizeBytes, mode: 0o600, modifiedAt: now() });
      await copyFile(this.options.command, stream, output.fd, signal);
      await output.padding(stream.sizeBytes);
      parent = path;
    }
    await output.end();
  }

  private async directory(volume: VolumeSpec, snapshot: string): Promise<string> {
    await this.options.storage.ensurePoolMounted(volume.pool);
    const directories = new PoolDirectories(this.options.state.pool(volume.pool.name));
    return snapshot === '' ? directories.volume(volume.kind, volume.name) : directories.snapshot(volume.kind, volume.name, snapshot);
  }

  private of(pool: PoolSpec): VolumeStreams {
    const streams = this.options.drivers.get(pool.driver);
    if (streams === undefined) throw invalid(`Unknown storage driver "${pool.driver}"`);
    return streams;
  }
}

/** Whether the id a directory has is one that ids are mapped to. It is the last that a shift changes. */
async function isMapped(path: string, idmap: readonly IdmapEntry[]): Promise<boolean> {
  const { uid } = await lstat(path);
  return idmap.some(({ isUid, hostId, nsId, range }) => isUid && hostId !== nsId && uid >= hostId && uid < hostId + range);
}

/** The same format by several processors where there is a program for that; without the name and time of what was compressed. */
function fastest(compressor: readonly [string, ...string[]] | null): readonly [string, ...string[]] | null {
  if (compressor === null || compressor[0] !== 'gzip') return compressor;
  return [existsSync('/usr/bin/pigz') ? 'pigz' : 'gzip', '-n', ...compressor.slice(1)];
}

/** Seen from inside, files have the ids they have for the container. */
function userNamespace(idmap: readonly IdmapEntry[]): string[] {
  if (idmap.length === 0) return [];
  const maps = idmap.flatMap(({ isUid, isGid, nsId, hostId, range }) => ['-m', `${isUid && isGid ? 'b' : isUid ? 'u' : 'g'}:${nsId}:${hostId}:${range}`]);
  return ['lxc-usernsexec', ...maps, '--'];
}

function now(): number {
  return new Date().getTime() / 1000;
}
