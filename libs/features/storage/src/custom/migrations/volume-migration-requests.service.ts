import { Injectable } from '@nestjs/common';
import type { StorageVolumePost, StorageVolumesPost, StorageVolumeSource } from '#api-types';
import { AppError, conflict, LocalMember, newUuid, notFound, notImplemented, parseByteSize, wrap, type RequestContext } from '#kernel';
import type { ShiftedPiece } from '#ports';
import { Database, type Sql } from '#platform/database';
import { apiUrl } from '#platform/http';
import { OperationsService, succeeded, type OperationHandle, type RunningOperation } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeKey, type VolumeRow } from '../../data/volumes.repository.js';
import { indexOf } from '../../migration/index-header.rules.js';
import type { VolumeArrival } from '../../migration/volume-arrival.js';
import { rsyncOf, type DepartingVolume } from '../../migration/volume-departure.js';
import { VolumeMigrations } from '../../migration/volume-migrations.service.js';
import type { WireSnapshot } from '../../migration/migration-messages.rules.js';
import { configOf } from '../../migration/wire-snapshot.rules.js';
import { PoolsService } from '../../pools.service.js';
import { contentTypeOf, knownVolumeKeys, validateVolumeConfig } from '../../rules/custom-volume.rules.js';
import { compact, type Config } from '../../rules/pool-config.rules.js';
import { shiftedPieces, withoutShift } from '../../rules/volume-idmap.rules.js';
import { VolumeDescription } from '../backups/volume-description.service.js';
import { CustomVolumeCopies } from '../copies/custom-volume-copies.service.js';
import { CustomVolumeHost, diskName } from '../custom-volume-host.js';
import { CustomVolumes, paramsOf } from '../custom-volumes.service.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import { VolumeUsers } from '../volume-users.service.js';
import type { ReceivedRefreshParams, ReceivedVolumeParams } from './received-volume.params.js';
import { receiveVolume, receiveVolumeRefresh } from './receive-volume.operation.js';
import { snapshotFromWire, snapshotToWire } from './wire-volume.rules.js';

/** A volume that is to come, as the client wants it. */
interface AskedVolume {
  readonly target: VolumeParams;
  readonly session: string;
  /** Without snapshots. */
  readonly alone: boolean;
  readonly config: Config;
  /** All the client has said of its configuration. */
  readonly told: Config;
  readonly description: string;
}

/** Custom volumes that go to other servers or come from them. What a client waits for is an operation in memory, the conversation; what is made of it here is one that is stored. */
@Injectable()
export class VolumeMigrationRequests {
  constructor(
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly migrations: VolumeMigrations,
    private readonly custom: CustomVolumes,
    private readonly copies: CustomVolumeCopies,
    private readonly pools: PoolsService,
    private readonly host: CustomVolumeHost,
    private readonly descriptions: VolumeDescription,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly users: VolumeUsers,
    private readonly limits: ProjectLimits,
    private readonly member: LocalMember,
  ) {}

  /** The volume is only read: that a move takes it away is the client's doing. */
  async send(ctx: RequestContext, key: VolumeKey, request: StorageVolumePost): Promise<OperationHandle> {
    const row = this.volumes.locate(this.database.read, key);
    if (row === undefined) throw notFound('Storage pool volume not found');
    const { operation = '', secrets, certificate = '' } = request.target ?? {};
    return this.migrations.send(ctx, this.departing(row, request.volume_only === true), request.target ? { operation, secrets: secrets ?? {}, certificate } : null, {
      kind: 'volume.migrate', description: 'Migrating storage volume', resources: resourcesOf(row),
    });
  }

  /** A new volume, or one that is there and is brought up to date. */
  async receive(ctx: RequestContext, pool: string, project: string, request: StorageVolumesPost, source: StorageVolumeSource): Promise<OperationHandle> {
    const { mode } = source;
    if (mode !== 'pull' && mode !== 'push') throw notImplemented(`Mode '${mode ?? ''}' not implemented`);
    const contentType = contentTypeOf(request.content_type);
    const target: VolumeParams = { pool, project, name: request.name, memberId: this.member.id, contentType };
    const config = withoutShift(knownVolumeKeys(contentType, request.config ?? {}));
    validateVolumeConfig(diskName(project, request.name), contentType, config);
    const refresh = this.copies.isRefresh(pool, project, request.name, source);
    if (refresh) this.refreshable(this.database.read, target);
    const session = newUuid();
    const asked: AskedVolume = { target, session, alone: source.volume_only === true, config, told: compact(request.config), description: request.description };
    const awaited = mode === 'push' ? this.migrations.await() : null;
    const connections = awaited ?? this.migrations.dial({ operation: source.operation ?? '', secrets: source.secrets ?? {}, certificate: source.certificate ?? '' });
    const run = async (operation: RunningOperation): Promise<void> => {
      const arrival = this.migrations.expect(session, connections, (metadata) => operation.update(metadata));
      try {
        await (refresh ? this.refresh(ctx, arrival, asked) : this.create(ctx, arrival, asked));
        await arrival.end();
      } catch (error) {
        await arrival.end(error);
        throw AppError.is(error) ? error : wrap(error, 'Failed receiving the volume');
      } finally {
        this.migrations.forget(session);
      }
    };
    return this.operations.runInMemory(ctx, {
      kind: receiveVolume.kind, class: awaited === null ? 'task' : 'websocket', description: receiveVolume.description, resources: resourcesOf(target), metadata: { ...awaited?.secrets }, run,
      ...(awaited === null ? {} : { connect: (secret, accept) => awaited.connect(secret, accept) }),
    });
  }

  private async create(ctx: RequestContext, arrival: VolumeArrival, { target, session, alone, config, told, description }: AskedVolume): Promise<void> {
    const offered = await arrival.offer();
    const taken = alone ? [] : offered.snapshots;
    const snapshots = taken.map((wire) => snapshotFromWire(wire, new Date().toISOString()));
    await arrival.accept({ volume: this.host.spec(target), snapshots: taken, refresh: false });
    // Of a disk as well: without a size it is as large as what comes.
    const params: ReceivedVolumeParams = { ...target, snapshots, sizeBytes: parseByteSize(config['size'] ?? ''), move: false, session, shifted: shiftedIn(arrival, told, taken) };
    await succeeded(await this.operations.schedule(ctx, receiveVolume.kind, params, {
      resources: resourcesOf(target),
      reserve: (tx) => {
        this.custom.reserve(tx, target, { description, config });
        this.limits.check(tx.sql, target.project, 'volume creation');
      },
    }));
  }

  private async refresh(ctx: RequestContext, arrival: VolumeArrival, { target, session, alone, told }: AskedVolume): Promise<void> {
    const offered = await arrival.offer();
    const theirs = alone ? [] : offered.snapshots;
    const row = this.refreshable(this.database.read, target);
    const decide = (sql: Sql): Pick<ReceivedRefreshParams, 'added' | 'stale'> => {
      // It may be a disk now, or none any more.
      if (this.refreshable(sql, target).id !== row.id) throw conflict('The volume was made anew meanwhile');
      const own = this.snapshots.list(sql, row.id).map(({ name }) => name);
      const names = theirs.map(({ name }) => name);
      return { added: names.filter((name) => !own.includes(name)), stale: alone ? [] : own.filter((name) => !names.includes(name)) };
    };
    const { added, stale } = decide(this.database.read);
    const taken = theirs.filter(({ name }) => added.includes(name));
    const snapshots = taken.map((wire) => snapshotFromWire(wire, new Date().toISOString()));
    await arrival.accept({ volume: this.host.spec(row), snapshots: taken, refresh: true });
    const params: ReceivedRefreshParams = { ...paramsOf(row), snapshots, sizeBytes: 0, move: false, session, shifted: shiftedIn(arrival, told, taken), added, stale };
    await succeeded(await this.operations.schedule(ctx, receiveVolumeRefresh.kind, params, {
      resources: resourcesOf(target),
      reserve: (tx) => {
        const now = decide(tx.sql);
        // The other side sends what was agreed on with it.
        if (now.added.join('/') !== added.join('/')) throw conflict('The snapshots of the volume have changed meanwhile');
        Object.assign(params, now);
      },
    }));
  }

  /** The volume a refresh is to change. @throws in LXD's words where it must not. */
  private refreshable(sql: Sql, target: VolumeParams): VolumeRow {
    const row = this.volumes.get(sql, volumeKeyOf(target));
    this.users.refuseRunning(sql, row, 'Cannot refresh custom volume used by running instances');
    this.users.refuseOwn(row, 'The storage volume is still in use');
    return row;
  }

  private departing(row: VolumeRow, alone: boolean): DepartingVolume {
    const { config: pool } = this.pools.spec(row.pool);
    const snapshots = alone ? [] : this.snapshots.list(this.database.read, row.id);
    return {
      name: row.name, volume: this.host.spec(row), sourceSnapshot: '', snapshots: snapshots.map(snapshotToWire), idmap: [], index: indexOf(this.descriptions.describe(row, alone)),
      ...rsyncOf(pool), inconsistent: false,
    };
  }
}

/** Whoever has the files knows how ids lie in them; one that does not say has told the client at least. */
function shiftedIn(arrival: VolumeArrival, told: Config, taken: readonly WireSnapshot[]): ShiftedPiece[] {
  return shiftedPieces(arrival.volumeConfig() ?? told, taken.map(({ name, localConfig }) => ({ name, config: configOf(localConfig) })));
}

/** LXD's own spelling. */
function resourcesOf({ pool, name, project }: Pick<VolumeParams, 'pool' | 'name' | 'project'>): Record<string, string[]> {
  return { storage_volumes: [apiUrl(['1.0', 'storage_volumes', pool, 'volumes', 'custom', name], project)] };
}
