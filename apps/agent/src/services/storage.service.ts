import type {
  CopyVolumeRequest, ImageStore, MigrationPiece, PackBackupRequest, PackImageRequest, PoolSpec, ReceivePiecesRequest, ReceiveVolumeRequest, SendPiecesRequest, SendVolumeRequest, ServerDirectories, ServerDirectory, StorageDriver, UnpackBackupRequest, UnshiftVolumeRequest, VolumeArchives, VolumeFile,
  VolumeMigration, VolumeSnapshots, VolumeSpec, VolumeTransfer,
} from '#ports';
import type { ServiceTable } from '#platform/rpc';

export interface StoragePorts {
  readonly storage: StorageDriver;
  readonly snapshots: VolumeSnapshots;
  readonly transfers: VolumeTransfer;
  readonly migrations: VolumeMigration;
  readonly archives: VolumeArchives;
  readonly directories: ServerDirectories;
  readonly images: ImageStore;
}

/** `roost.agent.v1.Storage`, answered by the storage, snapshot, transfer, migration, archive, server directory and image store ports. */
export function storageService({ storage, snapshots, transfers, migrations, archives, directories, images }: StoragePorts): ServiceTable {
  const done = async (work: Promise<void>): Promise<object> => { await work; return {}; };
  type Pool = { pool: PoolSpec };
  type Session = { sessionId: string };
  type Volume = { volume: VolumeSpec };
  type Snapshot = Volume & { snapshot: string };
  type Restore = Volume & { token: string };
  type File = Snapshot & { file: VolumeFile; content: string };
  return {
    unary: {
      capabilities: async () => ({ drivers: await storage.capabilities() }),
      createPool: async ({ pool }: Pool) => ({ pool: await storage.createPool(pool) }),
      destroyPool: ({ pool }: Pool) => done(storage.destroyPool(pool)),
      ensurePoolMounted: ({ pool }: Pool) => done(storage.ensurePoolMounted(pool)),
      unmountPool: ({ pool }: Pool) => done(storage.unmountPool(pool)),
      updatePool: ({ pool, changed }: Pool & { changed: Record<string, string> }) => done(storage.updatePool(pool, changed)),
      describePool: ({ pool }: Pool) => storage.describePool(pool),
      createVolume: (request: Parameters<StorageDriver['createVolume']>[0]) => done(storage.createVolume(request)),
      destroyVolume: ({ volume }: Volume) => done(storage.destroyVolume(volume)),
      renameVolume: ({ volume, newName }: Volume & { newName: string }) => done(storage.renameVolume(volume, newName)),
      resizeVolume: ({ volume, sizeBytes }: Volume & { sizeBytes: number }) => done(storage.resizeVolume(volume, sizeBytes)),
      describeVolume: ({ volume }: Volume) => storage.describeVolume(volume),
      listVolumes: async ({ pool, kind }: Pool & { kind?: VolumeSpec['kind'] }) => ({ volumes: await storage.listVolumes(pool, kind) }),
      createSnapshot: ({ volume, snapshot }: Snapshot) => done(snapshots.createSnapshot(volume, snapshot)),
      destroySnapshot: ({ volume, snapshot }: Snapshot) => done(snapshots.destroySnapshot(volume, snapshot)),
      renameSnapshot: ({ volume, snapshot, newName }: Snapshot & { newName: string }) => done(snapshots.renameSnapshot(volume, snapshot, newName)),
      listSnapshots: async ({ volume }: Volume) => ({ snapshots: await snapshots.listSnapshots(volume) }),
      measureSnapshots: async ({ volume, snapshots: names }: Volume & { snapshots: string[] }) => ({ sizes: await snapshots.measureSnapshots(volume, names) }),
      restoreSnapshot: ({ volume, snapshot, token, keepApart }: Snapshot & Restore & { keepApart: boolean }) => done(snapshots.restoreSnapshot(volume, snapshot, token, keepApart)),
      undoRestore: ({ volume, token }: Restore) => done(snapshots.undoRestore(volume, token)),
      finishRestore: ({ volume, token }: Restore) => done(snapshots.finishRestore(volume, token)),
      copyVolume: (request: CopyVolumeRequest) => done(snapshots.copyVolume(request)),
      refreshVolume: ({ token, ...request }: CopyVolumeRequest & { token: string }) => done(snapshots.refreshVolume(request, token)),
      transferFormats: async ({ pool }: Pool) => ({ formats: await transfers.transferFormats(pool) }),
      identifySnapshots: async ({ volume }: Volume) => ({ snapshots: await transfers.identifySnapshots(volume) }),
      sendVolume: (request: SendVolumeRequest) => transfers.sendVolume(request),
      receiveVolume: (request: ReceiveVolumeRequest) => transfers.receiveVolume(request),
      waitTransfer: ({ sessionId }: Session, signal) => done(transfers.waitTransfer(sessionId, signal)),
      migrationFormats: async ({ volume }: Volume) => ({ formats: await migrations.migrationFormats(volume) }),
      sendPieces: async (request: SendPiecesRequest) => ({ sessionId: await migrations.sendPieces(request) }),
      receivePieces: async (request: ReceivePiecesRequest) => ({ sessionId: await migrations.receivePieces(request) }),
      waitPieces: ({ sessionId }: Session, signal) => done(migrations.waitPieces(sessionId, signal)),
      openPiece: ({ sessionId, piece }: Session & { piece: MigrationPiece }) => migrations.openPiece(sessionId, piece),
      waitPiece: ({ sessionId }: Session) => done(migrations.waitPiece(sessionId)),
      endPieces: ({ sessionId }: Session) => done(migrations.endPieces(sessionId)),
      packBackup: (request: PackBackupRequest) => archives.packBackup(request),
      packImage: (request: PackImageRequest) => archives.packImage(request),
      inspectBackup: ({ path }: { path: string }) => archives.inspectBackup(path),
      unpackBackup: (request: UnpackBackupRequest, signal) => done(archives.unpackBackup(request, signal)),
      unshiftVolume: (request: UnshiftVolumeRequest) => done(archives.unshiftVolume(request)),
      readVolumeFile: async ({ volume, snapshot, file }: File) => ({ content: await archives.readVolumeFile(volume, snapshot, file) }),
      writeVolumeFile: ({ volume, file, content }: File) => done(archives.writeVolumeFile(volume, file, content)),
      isEmptyVolume: async ({ volume }: Volume) => ({ empty: await directories.isEmptyVolume(volume) }),
      placeDirectory: ({ directory, volume, toVolume }: Volume & { directory: ServerDirectory; toVolume: boolean }) => done(directories.placeDirectory(directory, toVolume ? volume : null)),
      inspectImage: ({ metaPath, rootfsPath }: { metaPath: string; rootfsPath: string }) => images.inspectImage(metaPath, rootfsPath),
      adoptImage: (r: { fingerprint: string; metaPath: string; rootfsPath: string }) => done(images.adoptImage(r.fingerprint, r.metaPath, r.rootfsPath)),
      removeImage: ({ fingerprint }: { fingerprint: string }) => done(images.removeImage(fingerprint)),
      listImages: async () => ({ fingerprints: await images.listImages() }),
    },
  };
}
