import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Database } from '#platform/database';
import { Reconciler } from '#platform/reconcile';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';

/** Snapshots of this member's custom volumes go when their time is over. One that cannot go now is tried again with the next run. */
@Injectable()
export class VolumeSnapshotExpiryReconciler extends Reconciler {
  override readonly name = 'volume-snapshot-expiry';
  override readonly periodMs = 60_000;

  constructor(
    private readonly database: Database,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly requests: VolumeSnapshotRequests,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    for (const { pool, project, volume, snapshot } of this.snapshots.listExpired(this.database.read, this.self.id, new Date().toISOString())) {
      if (signal.aborted) return;
      try {
        const key = { pool, project, name: volume, type: 'custom' as const, memberId: this.self.id };
        const operation = await this.requests.delete(internalContext(undefined, project), key, snapshot);
        await operation.done;
      } catch (error) {
        this.logger.warn('Failed removing a snapshot of a volume whose time is over', { volume, snapshot, error: messageOf(error) });
      }
    }
  }
}
