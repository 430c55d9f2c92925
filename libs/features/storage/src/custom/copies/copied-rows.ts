import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import type { Tx } from '#platform/database';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeEvents } from '../volume-events.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import type { CopiedSnapshot, RefreshedVolumeParams } from './copy-volume.params.js';

/** A volume that comes with snapshots. */
export type VolumeWithSnapshots = VolumeParams & { readonly snapshots: readonly CopiedSnapshot[] };

/** Rows of volumes that were copied or unpacked, in transactions of steps; each call may be repeated. */
@Injectable()
export class CopiedRows {
  constructor(
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly events: VolumeEvents,
  ) {}

  /** The reserved volume is shown, with its snapshots. */
  show(tx: Tx, ctx: RequestContext, params: VolumeWithSnapshots): void {
    const row = this.volumes.find(tx.sql, volumeKeyOf(params));
    if (row?.state !== 'Creating') return;
    for (const snapshot of params.snapshots) this.snapshots.insert(tx, row.id, snapshot);
    this.volumes.setState(tx, row.id, 'Created');
    this.events.announce(tx, ctx, row, { action: 'storage-volume-created', context: { type: row.type } });
  }

  refresh(tx: Tx, ctx: RequestContext, params: RefreshedVolumeParams): void {
    const row = this.volumes.find(tx.sql, volumeKeyOf(params));
    if (row === undefined) return;
    for (const name of params.stale) this.snapshots.delete(tx, row.id, name);
    for (const snapshot of params.snapshots) if (this.snapshots.find(tx.sql, row.id, snapshot.name) === undefined) this.snapshots.insert(tx, row.id, snapshot);
    this.events.announce(tx, ctx, row, { action: 'storage-volume-updated' });
  }
}
