import { Injectable } from '@nestjs/common';
import { requestedExpiry, zeroTime } from '#config-schema';
import type { StoragePoolVolumeBackup, StoragePoolVolumeBackupPost, StoragePoolVolumeBackupsPost } from '#api-types';
import { AppError, conflict, notFound, wrap, type RequestContext } from '#kernel';
import { isUniqueViolation, TransactionRunner, type Tx } from '#platform/database';
import { apiUrl, fileResponse, type ApiResponse } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { BackupArchives } from '../../backups/backup-archives.service.js';
import { BackupFiles } from '../../backups/backup-files.js';
import { checkBackupName, nextBackupName } from '../../backups/backup-name.rules.js';
import type { BackupRow } from '../../backups/backup-rows.repository.js';
import { VolumeBackupRepository } from '../../data/volume-backup.repository.js';
import { VolumesRepository, type VolumeRow } from '../../data/volumes.repository.js';
import { PoolsService } from '../../pools.service.js';
import type { VolumeInUrl } from '../../api/volume-url.js';
import { VolumeRequests } from '../../volume-requests.service.js';
import { requireCustom } from '../snapshots/volume-snapshot-requests.service.js';
import { VolumeEvents } from '../volume-events.js';
import { createVolumeBackup } from './create-volume-backup.operation.js';
import type { CreateVolumeBackupParams } from './volume-backup.params.js';

/** Makes, shows, renames, removes and sends backups of this member's custom volumes. */
@Injectable()
export class VolumeBackupRequests {
  constructor(
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly volumes: VolumesRepository,
    private readonly rows: VolumeBackupRepository,
    private readonly requests: VolumeRequests,
    private readonly pools: PoolsService,
    private readonly archives: BackupArchives,
    private readonly files: BackupFiles,
    private readonly limits: ProjectLimits,
    private readonly events: VolumeEvents,
  ) {}

  /** @throws in LXD's words for one that is not there, or no custom one. */
  volume({ pool, type, project, name, target }: VolumeInUrl): VolumeRow {
    requireCustom(this.requests.key(pool, type, project, name, target));
    return this.requests.get(pool, type, project, name, target);
  }

  /** Those that are whole, by name. */
  list(volume: VolumeRow): BackupRow[] {
    return this.rows.list(volume.id).filter(isShown);
  }

  /** @throws `not-found` in LXD's words. */
  get(volume: VolumeRow, name: string): BackupRow {
    const backup = this.rows.find(volume.id, name);
    if (backup === undefined || !isShown(backup)) throw notFound('Storage volume backup not found');
    return backup;
  }

  urls(volume: VolumeRow): string[] {
    return this.list(volume).map(({ name }) => apiUrl(['1.0', 'storage-pools', volume.pool, 'volumes', 'custom', volume.name, 'backups', name], volume.project));
  }

  api({ name, createdAt, expiresAt, alone, optimized }: BackupRow): StoragePoolVolumeBackup {
    return { name, created_at: createdAt, expires_at: expiresAt ?? zeroTime, volume_only: alone, optimized_storage: optimized };
  }

  async create(ctx: RequestContext, volume: VolumeRow, request: StoragePoolVolumeBackupsPost): Promise<OperationHandle> {
    this.limits.assertMayKeep(volume.project, 'backup');
    const name = request.name || nextBackupName(this.rows.list(volume.id).map((backup) => backup.name));
    const expiresAt = requestedExpiry(request.expires_at) ?? null;
    checkBackupName(name);
    const compression = this.archives.compression(volume.project, request.compression_algorithm);
    const optimized = request.optimized_storage === true && (await this.pools.capabilitiesOf(this.pools.spec(volume.pool).driver))?.ownBackups === true;
    const params: CreateVolumeBackupParams = { volumeId: volume.id, backup: name, backupId: 0, volumeOnly: request.volume_only === true, optimized, compression };
    const resources = { backups: [`/1.0/backups/${name}`], storage_volumes: [`/1.0/storage_volumes/${volume.name}`] };
    try {
      return await this.operations.schedule(ctx, createVolumeBackup.kind, params, { resources, reserve: (tx) => this.reserve(tx, volume, params, expiresAt) });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return this.operations.runInMemory(ctx, {
        kind: createVolumeBackup.kind, class: 'task', description: createVolumeBackup.description, resources, run: () => Promise.reject(wrap(error, 'Create volume backup')),
      });
    }
  }

  rename(ctx: RequestContext, volume: VolumeRow, backup: BackupRow, request: StoragePoolVolumeBackupPost): Promise<OperationHandle> {
    const newName = request.name ?? '';
    checkBackupName(newName);
    return this.operations.runInMemory(ctx, {
      kind: 'volume.backup-rename', class: 'task', description: 'Renaming custom volume backup', resources: resourcesOf(volume),
      run: () => this.runner.run(ctx, (tx) => {
        if (this.rows.find(volume.id, newName, tx.sql) !== undefined) throw taken(volume, newName);
        this.rows.rename(tx, backup.id, newName);
        this.events.announce(tx, ctx, volume, { action: 'storage-volume-backup-renamed', path: ['backups', newName], context: { old_name: `${volume.name}/${backup.name}` } });
      }),
    });
  }

  /** The row first: a file without one goes with the next look. */
  delete(ctx: RequestContext, volume: VolumeRow, backup: BackupRow): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      kind: 'volume.backup-delete', class: 'task', description: 'Deleting custom volume backup', resources: resourcesOf(volume),
      run: async () => {
        await this.runner.run(ctx, (tx) => {
          this.rows.remove(tx, backup.id);
          this.events.announce(tx, ctx, volume, { action: 'storage-volume-backup-deleted', path: ['backups', backup.name] });
        });
        await this.files.custom.remove(backup.id);
      },
    });
  }

  async export(ctx: RequestContext, volume: VolumeRow, backup: BackupRow, range: string | undefined): Promise<ApiResponse> {
    const file = await this.files.custom.find(backup.id);
    if (file === undefined) throw notFound(`The archive of backup "${backup.name}" is not on this server`);
    this.events.send(ctx, volume, { action: 'storage-volume-backup-retrieved', path: ['backups', backup.name] });
    return fileResponse({ ...file, filename: '' }, range);
  }

  private reserve(tx: Tx, volume: VolumeRow, params: CreateVolumeBackupParams, expiresAt: string | null): void {
    if (this.volumes.findById(tx.sql, volume.id) === undefined) throw notFound('Storage pool volume not found');
    try {
      // Stored with the operation, which is written after this, in the same transaction.
      params.backupId = this.rows.insert(tx, volume.id, {
        name: params.backup, createdAt: `${tx.now.toISOString().slice(0, 19)}Z`, expiresAt, alone: params.volumeOnly, optimized: params.optimized,
      });
    } catch (error) {
      throw isUniqueViolation(error) ? taken(volume, params.backup, error) : error;
    }
  }
}

function isShown({ state }: BackupRow): boolean {
  return state === 'Created';
}

/** LXD names the volume by a path that leads nowhere; clients only show it. */
function resourcesOf({ name }: VolumeRow): Record<string, string[]> {
  return { volume: [`/1.0/volume/${name}`] };
}

function taken({ name }: VolumeRow, backup: string, cause?: unknown): Error {
  return conflict(`Backup "${name}/${backup}" already exists`, { cause });
}
