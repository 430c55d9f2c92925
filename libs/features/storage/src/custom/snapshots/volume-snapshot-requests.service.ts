import { Injectable } from '@nestjs/common';
import type { StorageVolumeSnapshotPut } from '#api-types';
import { nextSnapshotName, requestedExpiry, snapshotExpiry } from '#config-schema';
import { conflict, invalid, notFound, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { checkEtag } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { VolumeSnapshotsRepository, type VolumeSnapshotRow } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeKey, type VolumeRow } from '../../data/volumes.repository.js';
import { checkVolumeName, checkVolumeSnapshotName } from '../../rules/custom-volume.rules.js';
import { etagOfVolumeSnapshot } from '../../volume-snapshot-views.service.js';
import { volumeBytes } from '../custom-volume-host.js';
import { paramsOf, settled } from '../custom-volumes.service.js';
import { VolumeEvents } from '../volume-events.js';
import { VolumeUsers } from '../volume-users.service.js';
import { createVolumeSnapshot } from './create-volume-snapshot.operation.js';
import { deleteVolumeSnapshot } from './delete-volume-snapshot.operation.js';
import { renameVolumeSnapshot } from './rename-volume-snapshot.operation.js';
import { restoreVolume } from './restore-volume.operation.js';
import type { CreateVolumeSnapshotParams, RenameVolumeSnapshotParams, RestoreVolumeParams, VolumeSnapshotParams } from './volume-snapshot.params.js';

export interface NewVolumeSnapshotRequest {
  /** Empty for the next free one. */
  readonly name: string;
  /** As in the request. */
  readonly expiresAt?: string | null;
}

/** Makes, changes, renames, removes and restores snapshots of this member's custom volumes. */
@Injectable()
export class VolumeSnapshotRequests {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly users: VolumeUsers,
    private readonly events: VolumeEvents,
  ) {}

  /** `pattern` for names nobody gave; requests have LXD's own. */
  async create(ctx: RequestContext, key: VolumeKey, request: NewVolumeSnapshotRequest, pattern = ''): Promise<OperationHandle> {
    const asked = requestedExpiry(request.expiresAt);
    const volume = this.volume(this.database.read, key);
    this.users.refuseOwn(volume, 'Volumes used by LXD itself cannot have snapshots');
    const taken = this.snapshots.list(this.database.read, volume.id).map(({ name }) => name);
    const now = new Date();
    const snapshot = request.name || nextSnapshotName(pattern, taken, now);
    checkVolumeSnapshotName(snapshot);
    const expiresAt = asked === undefined ? snapshotExpiry(volume.config['snapshots.expiry'] ?? '', now)?.toISOString() ?? null : asked;
    const params: CreateVolumeSnapshotParams = { ...paramsOf(volume), snapshot, description: '', config: volume.config, createdAt: now.toISOString(), expiresAt };
    return this.operations.schedule(ctx, createVolumeSnapshot.kind, params, {
      resources: volumeResource(volume),
      reserve: (tx) => {
        const current = this.volume(tx.sql, key);
        if (this.snapshots.find(tx.sql, current.id, snapshot) !== undefined) throw conflict(`Snapshot "${snapshot}" already in use`);
        Object.assign(params, { config: current.config });
      },
    });
  }

  /** Of an instance's volume too. */
  async update(ctx: RequestContext, key: VolumeKey, name: string, request: StorageVolumeSnapshotPut, options: { readonly merge: boolean; readonly ifMatch: string | undefined }): Promise<void> {
    const asked = requestedExpiry(request.expires_at);
    await this.runner.run(ctx, (tx) => {
      const { volume, snapshot } = this.snapshot(tx.sql, key, name);
      checkEtag(options.ifMatch, etagOfVolumeSnapshot(volume, snapshot));
      this.snapshots.update(tx, snapshot.id, {
        description: request.description ?? (options.merge ? snapshot.description : ''),
        expiresAt: asked === undefined ? (options.merge ? snapshot.expiresAt : null) : asked,
      });
      this.events.announce(tx, ctx, volume, { action: 'storage-volume-snapshot-updated', path: ['snapshots', name] });
    });
  }

  async rename(ctx: RequestContext, key: VolumeKey, name: string, newName: string): Promise<OperationHandle> {
    this.volume(this.database.read, key);
    checkVolumeName(newName);
    checkVolumeSnapshotName(newName);
    const { volume } = this.snapshot(this.database.read, key, name);
    const params: RenameVolumeSnapshotParams = { ...paramsOf(volume), snapshot: name, newName };
    return this.operations.schedule(ctx, renameVolumeSnapshot.kind, params, {
      resources: snapshotResource(volume),
      reserve: (tx) => {
        const current = this.snapshot(tx.sql, key, name);
        if (this.snapshots.find(tx.sql, current.volume.id, newName) !== undefined) throw conflict(`Snapshot "${newName}" already in use`);
      },
    });
  }

  async delete(ctx: RequestContext, key: VolumeKey, name: string): Promise<OperationHandle> {
    const { volume } = this.snapshot(this.database.read, key, name);
    const params: VolumeSnapshotParams = { ...paramsOf(volume), snapshot: name };
    return this.operations.schedule(ctx, deleteVolumeSnapshot.kind, params, {
      resources: snapshotResource(volume), reserve: (tx) => void this.snapshot(tx.sql, key, name),
    });
  }

  /** Done when it resolves. */
  async restore(ctx: RequestContext, key: VolumeKey, name: string): Promise<void> {
    const volume = this.volume(this.database.read, key);
    const diskBytes = volume.contentType === 'block' ? volumeBytes('block', volume.config['size']) : 0;
    const params: RestoreVolumeParams = { ...paramsOf(volume), snapshot: name, diskBytes };
    await settled(this.operations.schedule(ctx, restoreVolume.kind, params, { resources: {}, reserve: (tx) => this.checkRestore(tx, key, name) }));
  }

  private checkRestore(tx: Tx, key: VolumeKey, name: string): void {
    const volume = this.volume(tx.sql, key);
    if (this.snapshots.find(tx.sql, volume.id, name) === undefined) throw notFound('Snapshot not found');
    this.users.refuseRunning(tx.sql, volume, 'Cannot restore custom volume used by running instances');
  }

  private volume(sql: Sql, key: VolumeKey): VolumeRow {
    return this.volumes.located(sql, key);
  }

  private snapshot(sql: Sql, key: VolumeKey, name: string): { volume: VolumeRow; snapshot: VolumeSnapshotRow } {
    const volume = this.volume(sql, key);
    const snapshot = this.snapshots.find(sql, volume.id, name);
    if (snapshot === undefined) throw notFound('Storage pool volume not found');
    return { volume, snapshot };
  }
}

/** LXD names volumes in operations by paths that lead nowhere; clients only show them. */
function volumeResource({ name }: VolumeRow): Record<string, string[]> {
  return { storage_volumes: [`/1.0/storage_volumes/${name}`] };
}

function snapshotResource({ name }: VolumeRow): Record<string, string[]> {
  return { storage_volume_snapshots: [`/1.0/storage_volume_snapshots/${name}`] };
}

/** For callers that know the type. @throws `invalid` in LXD's words for a volume that is no custom one. */
export function requireCustom({ type }: VolumeKey): void {
  if (type !== 'custom') throw invalid(`Invalid storage volume type "${type}"`);
}
