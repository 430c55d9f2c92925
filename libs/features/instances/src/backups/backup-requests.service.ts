import { Injectable } from '@nestjs/common';
import type { InstanceBackup, InstanceBackupPost, InstanceBackupsPost } from '#api-types';
import { AppError, conflict, notFound, wrap, type RequestContext } from '#kernel';
import { isUniqueViolation, TransactionRunner, type Tx } from '#platform/database';
import { apiUrl, fileResponse, type ApiResponse } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { BackupArchives, BackupFiles, checkBackupName, nextBackupName, SnapshotVolumes, type BackupRow } from '#features/storage';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceSpecs } from '../instance-specs.js';
import { instanceResources } from '../instance-urls.js';
import { requestedExpiry, zeroTime } from '../rules/snapshot-expiry.rules.js';
import type { CreateBackupParams } from './backup-operation.params.js';
import { createBackup } from './create-backup.operation.js';

/** Makes, shows, renames, removes and sends backups of this member's instances. */
@Injectable()
export class BackupRequests {
  constructor(
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly instances: InstanceRepository,
    private readonly repository: InstanceBackupRepository,
    private readonly specs: InstanceSpecs,
    private readonly volumes: SnapshotVolumes,
    private readonly files: BackupFiles,
    private readonly archives: BackupArchives,
    private readonly limits: ProjectLimits,
    private readonly events: InstanceLifecycleEvents,
  ) {}

  /** Those that are whole, by name. */
  list({ row }: ExpandedInstance): BackupRow[] {
    return this.repository.list(row.id).filter(isShown);
  }

  /** Of several instances at once, by the instance's id; without those that have none. */
  listAll(instances: readonly ExpandedInstance[]): Map<number, BackupRow[]> {
    const found = this.repository.listAll(instances.map(({ row }) => row.id));
    return new Map([...found].map(([id, rows]) => [id, rows.filter(isShown)]));
  }

  /** @throws `not-found` in LXD's words. */
  get({ row }: ExpandedInstance, name: string): BackupRow {
    const backup = this.repository.find(row.id, name);
    if (backup === undefined || !isShown(backup)) throw notFound('Load backup from database: Instance backup not found');
    return backup;
  }

  /** As part of the whole instance; null for none. */
  shown(backups: readonly BackupRow[] | undefined): InstanceBackup[] | null {
    return backups === undefined || backups.length === 0 ? null : backups.map((backup) => this.api(backup));
  }

  urls(instance: ExpandedInstance): string[] {
    const { name, project } = instance.row;
    return this.list(instance).map((backup) => apiUrl(['1.0', 'instances', name, 'backups', backup.name], project));
  }

  api(backup: BackupRow): InstanceBackup {
    return {
      name: backup.name, created_at: backup.createdAt, expires_at: backup.expiresAt ?? zeroTime, instance_only: backup.alone, container_only: backup.alone,
      optimized_storage: backup.optimized,
    };
  }

  async create(ctx: RequestContext, instance: ExpandedInstance, request: InstanceBackupsPost): Promise<OperationHandle> {
    const { row } = instance;
    this.limits.assertMayKeep(row.project, 'backup');
    const name = request.name || nextBackupName(this.repository.list(row.id).map((backup) => backup.name));
    const expiresAt = requestedExpiry(request.expires_at) ?? null;
    checkBackupName(name);
    const compression = this.archives.compression(row.project, request.compression_algorithm);
    const instanceOnly = request.instance_only === true || request.container_only === true;
    const optimized = request.optimized_storage === true && (await this.volumes.hasOwnBackups(this.specs.rootOf(instance).pool));
    const { id, project, type } = row;
    const params: CreateBackupParams = { id, project, name: row.name, type, backup: name, backupId: 0, instanceOnly, optimized, compression };
    const resources = { backups: [apiUrl(['1.0', 'backups', name], project)], ...instanceResources(row) };
    try {
      return await this.operations.schedule(ctx, createBackup.kind, params, { resources, reserve: (tx) => this.reserve(tx, params, expiresAt) });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return this.failed(ctx, createBackup.kind, createBackup.description, resources, wrap(error, 'Create backup'));
    }
  }

  async rename(ctx: RequestContext, instance: ExpandedInstance, backup: BackupRow, request: InstanceBackupPost): Promise<OperationHandle> {
    const newName = request.name ?? '';
    checkBackupName(newName);
    return this.operations.runInMemory(ctx, {
      kind: 'instance.backup-rename', class: 'task', description: 'Renaming instance backup', resources: instanceResources(instance.row),
      run: () => this.runner.run(ctx, (tx) => {
        if (this.repository.find(backup.ownerId, newName, tx.sql) !== undefined) throw taken(instance, newName);
        this.repository.rename(tx, backup.id, newName);
        tx.afterCommit(() => this.events.send('backup-renamed', instance.row, { path: ['backups', newName], context: { old_name: backup.name } }));
      }),
    });
  }

  /** The row first: a file without one goes with the next look. */
  delete(ctx: RequestContext, instance: ExpandedInstance, backup: BackupRow): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      // LXD's words for it, which name no collection there is.
      kind: 'instance.backup-delete', class: 'task', description: 'Removing instance backup', resources: { container: [apiUrl(['1.0', 'container', instance.row.name], instance.row.project)] },
      run: async () => {
        await this.runner.run(ctx, (tx) => {
          this.repository.remove(tx, backup.id);
          tx.afterCommit(() => this.events.send('backup-deleted', instance.row, { path: ['backups', backup.name] }));
        });
        await this.files.instances.remove(backup.id);
      },
    });
  }

  async export(instance: ExpandedInstance, backup: BackupRow, range: string | undefined): Promise<ApiResponse> {
    const file = await this.files.instances.find(backup.id);
    if (file === undefined) throw notFound(`The archive of backup "${backup.name}" is not on this server`);
    this.events.send('backup-retrieved', instance.row, { path: ['backups', backup.name] });
    return fileResponse({ ...file, filename: '' }, range);
  }

  private reserve(tx: Tx, params: CreateBackupParams, expiresAt: string | null): void {
    if (this.instances.findById(params.id, tx.sql) === undefined) throw notFound('Instance not found');
    try {
      // Stored with the operation, which is written after this, in the same transaction.
      params.backupId = this.repository.insert(tx, params.id, {
        name: params.backup, createdAt: `${tx.now.toISOString().slice(0, 19)}Z`, expiresAt, alone: params.instanceOnly, optimized: params.optimized,
      });
    } catch (error) {
      throw isUniqueViolation(error) ? conflict(`Backup "${params.name}/${params.backup}" already exists`, { cause: error }) : error;
    }
  }

  private failed(ctx: RequestContext, kind: string, description: string, resources: Record<string, string[]>, error: unknown): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, { kind, class: 'task', description, resources, run: () => Promise.reject(error) });
  }
}

function isShown({ state }: BackupRow): boolean {
  return state === 'Created';
}

function taken(instance: ExpandedInstance, name: string): Error {
  return conflict(`Backup "${instance.row.name}/${name}" already exists`);
}
