import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger } from '#kernel';
import { ExpiryReconciler } from '#platform/reconcile';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository, type SnapshotRow } from '../data/instance-snapshot.repository.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';

interface Expired {
  readonly instance: ExpandedInstance;
  readonly snapshot: SnapshotRow;
}

/** Snapshots of this member's instances go when their time is over. */
@Injectable()
export class SnapshotExpiryReconciler extends ExpiryReconciler<Expired> {
  override readonly name = 'snapshot-expiry';

  constructor(
    private readonly repository: InstanceSnapshotRepository,
    private readonly catalog: InstanceCatalog,
    private readonly requests: SnapshotRequests,
    private readonly self: LocalMember,
    logger: Logger,
  ) {
    super('snapshot', logger);
  }

  protected override expired(now: string): Expired[] {
    return this.repository.listExpired(this.self.id, now).flatMap((snapshot) => {
      const instance = this.catalog.findById(snapshot.instanceId);
      return instance !== undefined && this.catalog.isLocal(instance) ? [{ instance, snapshot }] : [];
    });
  }

  protected override async remove({ instance, snapshot }: Expired): Promise<void> {
    await (await this.requests.delete(internalContext(undefined, instance.row.project), instance, snapshot)).done;
  }

  protected override describe({ instance, snapshot }: Expired): Record<string, string> {
    return { instance: instance.row.name, snapshot: snapshot.name };
  }
}
