import { Injectable } from '@nestjs/common';
import { isScheduledAt } from '#config-schema';
import { Clock, internalContext, isTrue, Logger, messageOf } from '#kernel';
import { Reconciler } from '#platform/reconcile';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';

const minuteMs = 60_000;
/** After a pause (the machine slept, a run took long) no more than this is made up for. */
const mostMinutes = 5;

/**
 * Snapshots by `snapshots.schedule`, of this member's instances alone, running ones unless `snapshots.schedule.stopped`. Every minute is looked at once,
 * also when a run comes late; what was due while no daemon ran is not made up for. One that fails is told and waits for its next time.
 */
@Injectable()
export class SnapshotScheduleReconciler extends Reconciler {
  override readonly name = 'snapshot-schedule';
  override readonly periodMs = 5000;
  /** Of the last minute that was looked at, since the epoch. */
  private last: number | undefined;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly rows: InstanceSnapshotRepository,
    private readonly requests: SnapshotRequests,
    private readonly states: PowerStates,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    const now = Math.floor(this.clock.now().getTime() / minuteMs);
    const first = this.last === undefined;
    const from = Math.max((this.last ?? now - 1) + 1, now - mostMinutes + 1);
    this.last = now;
    for (let minute = from; minute <= now; minute++) {
      const due = this.due(new Date(minute * minuteMs)).filter(({ row }) => !first || !this.wasTaken(row.id, minute));
      for (const instance of due) {
        if (signal.aborted) return;
        await this.take(instance);
      }
    }
  }

  private due(when: Date): ExpandedInstance[] {
    return this.catalog.local().filter(({ row, expandedConfig }) => {
      const schedule = expandedConfig['snapshots.schedule'] ?? '';
      if (schedule === '' || row.state !== 'Created' || !isScheduledAt(schedule, when, row.id)) return false;
      return isTrue(expandedConfig['snapshots.schedule.stopped']) || this.states.isRunning(hostName(row));
    });
  }

  /** By a daemon that ended within this minute. */
  private wasTaken(id: number, minute: number): boolean {
    return this.rows.listByInstance(id).some(({ createdAt }) => Math.floor(Date.parse(createdAt) / minuteMs) === minute);
  }

  private async take(instance: ExpandedInstance): Promise<void> {
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
