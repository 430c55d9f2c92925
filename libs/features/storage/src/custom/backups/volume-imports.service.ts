import type { IncomingHttpHeaders } from 'node:http';
import { finished } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AppError, internal, invalid, LocalMember, messageOf, type RequestContext } from '#kernel';
import type { ShiftedPiece } from '#ports';
import type { Tx } from '#platform/database';
import type { RawRequestBody } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { BackupArchives } from '../../backups/backup-archives.service.js';
import type { BackupIndex } from '../../backups/backup-index.rules.js';
import { PoolsService } from '../../pools.service.js';
import { VolumeRequests } from '../../volume-requests.service.js';
import { checkVolumeName, checkVolumeSnapshotName, contentTypeOf, knownVolumeKeys, validateVolumeConfig } from '../../rules/custom-volume.rules.js';
import type { CopiedSnapshot } from '../copies/copy-volume.params.js';
import { shiftedPieces, withoutShift } from '../../rules/volume-idmap.rules.js';
import { diskName, volumeBytes } from '../custom-volume-host.js';
import { CustomVolumes } from '../custom-volumes.service.js';
import { importVolume } from './import-volume.operation.js';
import type { ImportVolumeParams } from './volume-backup.params.js';

interface Place {
  readonly pool: string;
  readonly project: string;
  readonly name: string;
}

/**
 * `POST /1.0/storage-pools/POOL/volumes/custom` with an archive for a body. What LXD finds wrong with the archive itself is refused at once, what it finds wrong
 * while it makes the volume ends an operation here too.
 */
@Injectable()
export class VolumeImports {
  constructor(
    private readonly operations: OperationsService,
    private readonly archives: BackupArchives,
    private readonly custom: CustomVolumes,
    private readonly pools: PoolsService,
    private readonly requests: VolumeRequests,
    private readonly limits: ProjectLimits,
    private readonly member: LocalMember,
  ) {}

  async import(ctx: RequestContext, pool: string, body: RawRequestBody, headers: IncomingHttpHeaders): Promise<OperationHandle> {
    let project: string;
    try {
      project = this.requests.customProject(ctx.project);
    } catch (error) {
      // A client hears the answer when it has sent everything.
      await finished(body.stream.resume()).catch(() => undefined);
      throw error;
    }
    const name = headers['x-lxd-name'];
    return this.archives.receive(body.stream, (path) => this.schedule(ctx, path, { pool, project, name: (Array.isArray(name) ? name[0] : name) ?? '' }));
  }

  private async schedule(ctx: RequestContext, archive: string, asked: Place): Promise<OperationHandle> {
    const index = await this.archives.inspect(archive);
    const { pool, project } = asked;
    this.requirePool(pool);
    const name = asked.name || index.name;
    const resources = { storage_volumes: [`/1.0/storage_volumes/${name}`] };
    try {
      const { params, content } = this.decide(archive, { pool, project, name }, index);
      return await this.operations.schedule(ctx, importVolume.kind, params, { resources, reserve: (tx) => this.reserve(tx, params, content, index) });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return this.operations.runInMemory(ctx, { kind: importVolume.kind, class: 'task', description: importVolume.description, resources, run: () => Promise.reject(error) });
    }
  }

  private requirePool(name: string): void {
    try {
      this.pools.get(name);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? internal(`Storage pool not found: ${messageOf(error)}`, { cause: error }) : error;
    }
  }

  private decide(archive: string, place: Place, index: BackupIndex) {
    requireName(place);
    const described = index.config?.volume;
    if (described === null || described === undefined) throw invalid('Create custom volume from backup: The backup does not describe its volume');
    const contentType = contentTypeOf(described.content_type);
    const config = withoutShift(knownVolumeKeys(contentType, described.config));
    validateVolumeConfig(diskName(place.project, place.name), contentType, config);
    const params: ImportVolumeParams = {
      ...place, memberId: this.member.id, contentType, archive, optimized: index.optimized, sizeBytes: volumeBytes(contentType, config['size']),
      snapshots: index.snapshots.map((name) => snapshotOf(index, name)), shifted: contentType === 'filesystem' ? shiftedIn(index) : [],
    };
    return { params, content: { description: described.description, config } };
  }

  private reserve(tx: Tx, params: ImportVolumeParams, content: Parameters<CustomVolumes['reserve']>[2], index: BackupIndex): void {
    const { driver } = this.pools.specIn(tx, params.pool);
    if (index.optimized && index.backend !== driver) throw invalid(`Optimized backup storage driver "${index.backend}" differs from the target storage pool driver "${driver}"`);
    inserting(params, () => this.custom.reserve(tx, params, content));
    this.limits.check(tx.sql, params.project, 'volume creation');
  }
}

function snapshotOf({ config }: BackupIndex, name: string): CopiedSnapshot {
  checkVolumeSnapshotName(name);
  const of = config?.volume_snapshots.find((one) => isNamed(one, name));
  if (of === undefined) throw internal(`The backup does not describe its snapshot "${name}"`);
  return {
    name, description: of.description, config: withoutShift(knownVolumeKeys(contentTypeOf(of.content_type), of.config)), createdAt: timeOr(of.created_at, new Date().toISOString()),
    expiresAt: timeOr(of.expires_at, null),
  };
}

/** LXD names a snapshot with its volume in places. */
function isNamed(snapshot: { readonly name: string }, name: string): boolean {
  return snapshot.name.slice(snapshot.name.lastIndexOf('/') + 1) === name;
}

function shiftedIn({ config, snapshots }: BackupIndex): ShiftedPiece[] {
  const of = (name: string) => config?.volume_snapshots.find((one) => isNamed(one, name))?.config ?? {};
  return shiftedPieces(config?.volume?.config ?? {}, snapshots.map((name) => ({ name, config: of(name) })));
}

/** LXD finds a wrong name when it writes the row. */
function requireName(place: Place): void {
  inserting(place, () => {
    if (place.name.includes('/')) throw invalid('Volume name may not be a snapshot');
    checkVolumeName(place.name);
  });
}

/** In LXD's words. */
function inserting({ name, project, pool }: Place, work: () => void): void {
  try {
    work();
  } catch (error) {
    const text = `Create custom volume from backup: Error inserting volume "${name}" for project "${project}" in pool "${pool}" of type "custom" into database "${messageOf(error)}"`;
    throw new AppError(error instanceof AppError ? error.kind : 'internal', text, { cause: error });
  }
}

/** The year 1 is no time. */
function timeOr<T>(text: string, otherwise: T): string | T {
  const time = Date.parse(text);
  return Number.isNaN(time) || time < 0 ? otherwise : text;
}
