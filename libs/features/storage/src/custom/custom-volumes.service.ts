import { Injectable } from '@nestjs/common';
import type { StorageVolumePut, StorageVolumesPost } from '#api-types';
import { conflict, internal, invalid, LocalMember, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { checkEtag } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { VolumesRepository, type VolumeKey, type VolumeRow } from '../data/volumes.repository.js';
import { PoolsService } from '../pools.service.js';
import { changesShifting, checkVolumeName, contentTypeOf, validateVolumeConfig, withPoolDefaults } from '../rules/custom-volume.rules.js';
import { merged } from '../rules/pool-config.rules.js';
import { etagOfVolume } from '../volume-requests.service.js';
import { createVolume } from './create-volume.operation.js';
import { diskName, volumeBytes } from './custom-volume-host.js';
import { deleteVolume } from './delete-volume.operation.js';
import { renameVolume } from './rename-volume.operation.js';
import { updateVolume } from './update-volume.operation.js';
import { VolumeEvents } from './volume-events.js';
import { volumeConflictKey, volumeKeyOf, type CreateVolumeParams, type RenameVolumeParams, type UpdateVolumeParams, type VolumeParams, type VolumeText } from './volume-operation.params.js';
import { VolumeUsers } from './volume-users.service.js';

/** Makes, changes, renames and deletes custom volumes of this member. LXD answers when it is done, so these resolve then. */
@Injectable()
export class CustomVolumes {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly volumes: VolumesRepository,
    private readonly pools: PoolsService,
    private readonly users: VolumeUsers,
    private readonly events: VolumeEvents,
    private readonly member: LocalMember,
    private readonly limits: ProjectLimits,
  ) {}

  /** What has to be right whatever the volume is to be made from. */
  checkRequest(pool: string, request: Pick<StorageVolumesPost, 'name' | 'type' | 'content_type'>): void {
    checkVolumeName(request.name);
    contentTypeOf(request.content_type);
    if (request.type === '') throw invalid('You must provide a storage volume type of the storage volume');
    if (request.type !== 'custom') throw invalid(`Currently not allowed to create storage volumes of type "${request.type}"`);
    this.pools.get(pool);
  }

  /** An empty one. */
  async create(ctx: RequestContext, pool: string, project: string, request: StorageVolumesPost): Promise<void> {
    const contentType = contentTypeOf(request.content_type);
    const { name, description } = request;
    const config = withPoolDefaults(this.pools.get(pool).config, contentType, request.config ?? {});
    validateVolumeConfig(diskName(project, name), contentType, config);
    const params: CreateVolumeParams = { pool, project, name, memberId: this.member.id, contentType, sizeBytes: volumeBytes(contentType, config['size']) };
    await settled(this.operations.schedule(ctx, createVolume.kind, params, {
      resources: {},
      reserve: (tx) => {
        this.reserve(tx, params, { description, config });
        this.limits.check(tx.sql, project, 'volume creation');
      },
    }));
  }

  /** @throws `conflict` where this member has a volume of that name. */
  refuseTaken(pool: string, project: string, name: string, sql: Sql = this.database.read): void {
    if (this.volumes.find(sql, volumeKeyOf({ pool, project, name, memberId: this.member.id })) !== undefined) throw conflict('Volume by that name already exists');
  }

  /** The row of a volume an operation is about to make. */
  reserve(tx: Tx, params: VolumeParams, content: VolumeText): void {
    this.pools.specIn(tx, params.pool);
    this.refuseTaken(params.pool, params.project, params.name, tx.sql);
    this.volumes.insert(tx, volumeKeyOf(params), { description: content.description, config: content.config, contentType: params.contentType, state: 'Creating' });
  }

  /** PUT replaces, PATCH merges. */
  async update(ctx: RequestContext, key: VolumeKey, request: StorageVolumePut, options: { readonly merge: boolean; readonly ifMatch: string | undefined }): Promise<void> {
    const known = this.get(this.database.read, key);
    validateVolumeConfig(diskName(known.project, known.name), known.contentType, request.config ?? {});
    const change = (sql: Sql): { row: VolumeRow; after: VolumeText } => {
      const row = this.get(sql, key);
      checkEtag(options.ifMatch, etagOfVolume(row));
      const after = merged(row, request, options.merge);
      if (changesShifting(row.config, after.config)) this.users.refuseRunning(sql, row, 'Cannot modify shifting with running instances using the volume');
      return { row, after };
    };
    const { row, after } = change(this.database.read);
    if ((row.config['size'] ?? '') !== (after.config['size'] ?? '')) return this.resize(ctx, row, change);
    const busy = this.operations.isBusy(volumeConflictKey(row));
    if (busy) throw conflict('Volume is busy');
    await this.runner.run(ctx, (tx) => {
      const current = change(tx.sql);
      if ((current.row.config['size'] ?? '') !== (current.after.config['size'] ?? '')) throw conflict('Volume is busy');
      this.volumes.update(tx, current.row.id, current.after);
      this.events.announce(tx, ctx, row, { action: 'storage-volume-updated' });
    });
  }

  async rename(ctx: RequestContext, key: VolumeKey, newName: string): Promise<void> {
    checkVolumeName(newName);
    const row = this.get(this.database.read, key);
    const params: RenameVolumeParams = { ...paramsOf(row), newName };
    await settled(this.operations.schedule(ctx, renameVolume.kind, params, {
      resources: {},
      reserve: (tx) => {
        const current = this.get(tx.sql, key);
        this.users.refuseOwn(current, 'Volume is used by LXD itself and cannot be renamed');
        this.users.refuseRunning(tx.sql, current, 'Volume is still in use by running instances');
        this.reserve(tx, { ...paramsOf(current), name: newName }, current);
      },
    }));
  }

  async delete(ctx: RequestContext, key: VolumeKey): Promise<void> {
    const row = this.get(this.database.read, key);
    await settled(this.operations.schedule(ctx, deleteVolume.kind, paramsOf(row), {
      resources: {},
      reserve: (tx) => {
        const current = this.get(tx.sql, key);
        this.users.refuseUsed(tx.sql, current);
        this.volumes.setState(tx, current.id, 'Deleting');
      },
    }));
  }

  private async resize(ctx: RequestContext, row: VolumeRow, change: (sql: Sql) => { row: VolumeRow; after: VolumeText }): Promise<void> {
    const bytes = (config: VolumeRow['config']): number => volumeBytes(row.contentType, config['size']);
    const params: UpdateVolumeParams = { ...paramsOf(row), wanted: row, former: row, sizeBytes: 0, formerSizeBytes: 0 };
    await settled(this.operations.schedule(ctx, updateVolume.kind, params, {
      resources: {},
      // The operation is written after this, in the same transaction, with what was decided here.
      reserve: (tx) => {
        const current = change(tx.sql);
        if (row.contentType === 'block') this.users.refuseRunning(tx.sql, row, 'Cannot resize volume: In use');
        const textOf = ({ description, config }: VolumeText): VolumeText => ({ description, config });
        // The project is looked at with the new size in it; the row follows with the operation.
        this.volumes.update(tx, current.row.id, current.after);
        this.limits.check(tx.sql, row.project, 'volume update');
        this.volumes.update(tx, current.row.id, textOf(current.row));
        Object.assign(params, { wanted: textOf(current.after), former: textOf(current.row), sizeBytes: bytes(current.after.config), formerSizeBytes: bytes(current.row.config) });
      },
    }));
  }

  private get(sql: Sql, key: VolumeKey): VolumeRow {
    const row = this.volumes.located(sql, key);
    if (row.memberId !== this.member.id) throw internal(`The volume is on cluster member "${row.location}"`);
    return row;
  }
}

export function paramsOf({ pool, project, name, memberId, contentType }: VolumeRow): VolumeParams {
  return { pool, project, name, memberId, contentType };
}

/** For answers that wait for the end. @throws `internal` with what went wrong. */
export async function settled(scheduled: Promise<OperationHandle>): Promise<void> {
  const { status, err } = await (await scheduled).wait();
  if (status !== 'Success') throw internal(err);
}
