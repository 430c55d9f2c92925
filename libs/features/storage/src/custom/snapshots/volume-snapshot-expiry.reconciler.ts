import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger } from '#kernel';
import { Database } from '#platform/database';
import { ExpiryReconciler } from '#platform/reconcile';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';

type Expired = ReturnType<VolumeSnapshotsRepository['listExpired']>[number];

/** Snapshots of this member's custom volumes go when their time is over. */
@Injectable()
export class VolumeSnapshotExpiryReconciler extends ExpiryReconciler<Expired> {
  override readonly name = 'volume-snapshot-expiry';

  constructor(
    private readonly database: Database,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly requests: VolumeSnapshotRequests,
    private readonly self: LocalMember,
    logger: Logger,
  ) {
    super('snapshot of a volume', logger);
  }

  protected override expired(now: string): readonly Expired[] {
    return this.snapshots.listExpired(this.database.read, this.self.id, now);
  }

  protected override async remove({ pool, project, volume, snapshot }: Expired): Promise<void> {
    const key = { pool, project, name: volume, type: 'custom' as const, memberId: this.self.id };
    await (await this.requests.delete(internalContext(undefined, project), key, snapshot)).done;
  }

  protected override describe({ volume, snapshot }: Expired): Record<string, string> {
    return { volume, snapshot };
  }
}
