import { Injectable } from '@nestjs/common';
import { isScheduledAt } from '#config-schema';
import { Clock, internalContext, isTrue, Logger, messageOf } from '#kernel';
import { isWithin, ScheduledReconciler } from '#platform/reconcile';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';

/** Snapshots by `snapshots.schedule`, of this member's instances alone, running ones unless `snapshots.schedule.stopped`. One that fails is told and waits for its next time. */
@Injectable()
export class SnapshotScheduleReconciler extends ScheduledReconciler<ExpandedInstance> {
  override readonly name = 'snapshot-schedule';

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly rows: InstanceSnapshotRepository,
    private readonly requests: SnapshotRequests,
    private readonly states: PowerStates,
    clock: Clock,
    private readonly logger: Logger,
  ) {
    super(clock);
  }

  protected override due(when: Date): ExpandedInstance[] {
    return this.catalog.local().filter(({ row, expandedConfig }) => {
      const schedule = expandedConfig['snapshots.schedule'] ?? '';
      if (schedule === '' || row.state !== 'Created' || !isScheduledAt(schedule, when, row.id)) return false;
      return isTrue(expandedConfig['snapshots.schedule.stopped']) || this.states.isRunning(hostName(row));
    });
  }

  protected override wasDone({ row }: ExpandedInstance, minute: Date): boolean {
    return this.rows.listByInstance(row.id).some(({ createdAt }) => isWithin(createdAt, minute));
  }

  protected override async do(instance: ExpandedInstance): Promise<void> {
    const { project, name } = instance.row;
    try {
      const operation = await (await this.requests.create(internalContext(undefined, project), instance, {})).wait();
      if (operation.status !== 'Success') this.warn(project, name, operation.err);
    } catch (error) {
      this.warn(project, name, messageOf(error));
    }
  }

  private warn(project: string, instance: string, error: string): void {
    this.logger.warn('Failed taking a scheduled snapshot', { project, instance, error });
  }
}
