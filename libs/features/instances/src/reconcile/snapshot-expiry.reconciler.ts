import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Reconciler } from '#platform/reconcile';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';

/** Snapshots of this member's instances go when their time is over. One that cannot go now is tried again with the next run. */
@Injectable()
export class SnapshotExpiryReconciler extends Reconciler {
  override readonly name = 'snapshot-expiry';
  override readonly periodMs = 60_000;

  constructor(
    private readonly repository: InstanceSnapshotRepository,
    private readonly catalog: InstanceCatalog,
    private readonly requests: SnapshotRequests,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    for (const snapshot of this.repository.listExpired(this.self.id, new Date().toISOString())) {
      if (signal.aborted) return;
      const instance = this.catalog.findById(snapshot.instanceId);
      if (instance === undefined || !this.catalog.isLocal(instance)) continue;
      try {
        const operation = await this.requests.delete(internalContext(undefined, instance.row.project), instance, snapshot);
        await operation.done;
      } catch (error) {
        this.logger.warn('Failed removing a snapshot whose time is over', { instance: instance.row.name, snapshot: snapshot.name, error: messageOf(error) });
      }
    }
  }
}
