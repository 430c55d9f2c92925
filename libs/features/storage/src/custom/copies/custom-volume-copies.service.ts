import { Injectable } from '@nestjs/common';
import type { StorageVolumeSource, StorageVolumesPost } from '#api-types';
import { conflict, internal, LocalMember, notFound, type RequestContext } from '#kernel';
import { Database, type Sql, type Tx } from '#platform/database';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectsService } from '#features/projects';
import { ClusterPools } from '../../cluster-pools.service.js';
import { VolumeSnapshotsRepository, type VolumeSnapshotRow } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeKey, type VolumeRow } from '../../data/volumes.repository.js';
import { PoolsService } from '../../pools.service.js';
import { validateVolumeConfig } from '../../rules/custom-volume.rules.js';
import { compact } from '../../rules/pool-config.rules.js';
import { CustomVolumes, paramsOf } from '../custom-volumes.service.js';
import { diskName, volumeBytes } from '../custom-volume-host.js';
import { volumeKeyOf, type VolumeParams, type VolumeText } from '../volume-operation.params.js';
import { VolumeUsers } from '../volume-users.service.js';
import type { CopiedSnapshot, CopyVolumeParams, RefreshVolumeParams } from './copy-volume.params.js';
import { copyVolume } from './copy-volume.operation.js';
import { moveVolume } from './move-volume.operation.js';
import { refreshVolume } from './refresh-volume.operation.js';

/** What a copy begins with, as its transaction sees it. */
interface Origin {
  readonly volume: VolumeRow;
  /** Null for the volume itself. */
  readonly snapshot: VolumeSnapshotRow | null;
  readonly snapshots: readonly CopiedSnapshot[];
}

/** Copies, refreshes and moves custom volumes to this member. */
@Injectable()
export class CustomVolumeCopies {
  constructor(
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly custom: CustomVolumes,
    private readonly pools: PoolsService,
    private readonly cluster: ClusterPools,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly users: VolumeUsers,
    private readonly projects: ProjectsService,
    private readonly member: LocalMember,
  ) {}

  /** Whether the volume that is asked for is there already and only brought up to date. */
  isRefresh(pool: string, project: string, name: string, source: StorageVolumeSource): boolean {
    const key = { pool, project, name, type: 'custom' as const, memberId: this.member.id };
    return source.refresh === true && this.volumes.findCreated(this.database.read, key) !== undefined;
  }

  async copy(ctx: RequestContext, pool: string, project: string, request: StorageVolumesPost, source: StorageVolumeSource): Promise<OperationHandle> {
    const from = this.sourceKey(ctx, source);
    const { volume, snapshot } = this.origin(this.database.read, from, source);
    const inherited: VolumeText = snapshot ?? volume;
    const asked = compact(request.config);
    const config = Object.keys(asked).length > 0 ? asked : inherited.config;
    validateVolumeConfig(diskName(project, request.name), volume.contentType, config);
    const target: VolumeParams = { pool, project, name: request.name, memberId: this.member.id, contentType: volume.contentType };
    const params = this.params(this.database.read, target, from, source, { config, move: false });
    return this.operations.schedule(ctx, copyVolume.kind, params, {
      resources: {},
      reserve: (tx) => {
        this.custom.reserve(tx, target, { description: request.description || inherited.description, config });
        Object.assign(params, this.params(tx.sql, target, from, source, { config, move: false }));
      },
    });
  }

  async refresh(ctx: RequestContext, pool: string, project: string, name: string, source: StorageVolumeSource): Promise<OperationHandle> {
    const from = this.sourceKey(ctx, source);
    const key: VolumeKey = { pool, project, name, type: 'custom', memberId: this.member.id };
    const decide = (sql: Sql): RefreshVolumeParams => {
      const row = this.volumes.get(sql, key);
      this.users.refuseRunning(sql, row, 'Cannot refresh custom volume used by running instances');
      this.users.refuseOwn(row, 'The storage volume is still in use');
      const params = this.params(sql, paramsOf(row), from, source, { config: row.config, move: false });
      if (params.source.contentType !== row.contentType) throw conflict('The volumes are of different content types');
      const own = this.snapshots.list(sql, row.id).map((snapshot) => snapshot.name);
      const theirs = params.snapshots.map((snapshot) => snapshot.name);
      return { ...params, added: theirs.filter((one) => !own.includes(one)), stale: source.volume_only === true ? [] : own.filter((one) => !theirs.includes(one)) };
    };
    const params = decide(this.database.read);
    return this.operations.schedule(ctx, refreshVolume.kind, params, { resources: {}, reserve: (tx) => void Object.assign(params, decide(tx.sql)) });
  }

  /** To another pool or project of this member. */
  async move(ctx: RequestContext, key: VolumeKey, to: { readonly pool: string; readonly project: string; readonly name: string }): Promise<OperationHandle> {
    this.pools.get(to.pool);
    const source: StorageVolumeSource = {};
    const decide = (sql: Sql): CopyVolumeParams => {
      const { volume } = this.origin(sql, key, source);
      this.users.refuseRunning(sql, volume, 'Volume is still in use by running instances');
      this.users.refuseOwn(volume, 'The storage volume is still in use');
      if (to.project !== volume.project) this.users.refuseUsed(sql, volume);
      return this.params(sql, { ...paramsOf(volume), ...to }, key, source, { config: volume.config, move: true });
    };
    const params = decide(this.database.read);
    return this.operations.schedule(ctx, moveVolume.kind, params, {
      resources: {},
      reserve: (tx: Tx) => {
        Object.assign(params, decide(tx.sql));
        this.custom.reserve(tx, params, this.volumes.get(tx.sql, volumeKeyOf(params.source)));
      },
    });
  }

  private params(sql: Sql, target: VolumeParams, from: VolumeKey, source: StorageVolumeSource, { config, move }: { config: VolumeText['config']; move: boolean }): CopyVolumeParams {
    const { volume, snapshot, snapshots } = this.origin(sql, from, source);
    const sizeBytes = volume.contentType === 'block' ? 0 : volumeBytes('filesystem', config['size']);
    return { ...target, source: paramsOf(volume), sourceSnapshot: snapshot?.name ?? '', snapshots, sizeBytes, move };
  }

  /** @throws in LXD's words; a pool that is not there is a `not-found` of its own. */
  private sourceKey(ctx: RequestContext, source: StorageVolumeSource): VolumeKey {
    const pool = source.pool ?? '';
    this.pools.get(pool);
    const project = this.projects.volumeProject(source.project || ctx.project);
    return { pool, project, type: 'custom', name: source.name ?? '', memberId: this.cluster.memberNamed(source.location ?? '')?.id };
  }

  private origin(sql: Sql, key: VolumeKey, source: StorageVolumeSource): Origin {
    const [name = '', snapshotName] = key.name.split('/', 2);
    // One of this member's where members have volumes of one name and none is meant in particular.
    const volume = (key.memberId === undefined ? this.volumes.findCreated(sql, { ...key, name }) : undefined) ?? this.volumes.locate(sql, { ...key, name });
    const snapshot = snapshotName === undefined || volume === undefined ? null : this.snapshots.find(sql, volume.id, snapshotName);
    if (volume === undefined || snapshot === undefined) {
      const missing = `Storage volume "${key.name}" in project "${key.project}" of type "custom" does not exist on pool "${key.pool}"`;
      throw source.name === undefined ? notFound('Storage pool volume not found') : internal(`Failed generating volume copy config: ${missing}: Storage volume not found`);
    }
    const along = snapshot !== null || source.volume_only === true ? [] : this.snapshots.list(sql, volume.id);
    return { volume, snapshot, snapshots: along.map(({ name: one, description, createdAt, expiresAt, config }) => ({ name: one, description, createdAt, expiresAt, config })) };
  }
}
