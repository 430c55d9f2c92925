import { Injectable } from '@nestjs/common';
import { isScheduledAt } from '#config-schema';
import { Clock, internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Database } from '#platform/database';
import { isWithin, ScheduledReconciler } from '#platform/reconcile';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from '../../data/volumes.repository.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';

/** Snapshots by `snapshots.schedule` of this member's custom volumes, named by `snapshots.pattern`. One that fails is told and waits for its next time. */
@Injectable()
export class VolumeSnapshotScheduleReconciler extends ScheduledReconciler<VolumeRow> {
  override readonly name = 'volume-snapshot-schedule';

  constructor(
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly requests: VolumeSnapshotRequests,
    private readonly self: LocalMember,
    clock: Clock,
    private readonly logger: Logger,
  ) {
    super(clock);
  }

  protected override due(minute: Date): VolumeRow[] {
    return this.volumes.scheduled(this.database.read, this.self.id).filter(({ id, config }) => isScheduledAt(config['snapshots.schedule'] ?? '', minute, id));
  }

  protected override wasDone({ id }: VolumeRow, minute: Date): boolean {
    return this.snapshots.list(this.database.read, id).some(({ createdAt }) => isWithin(createdAt, minute));
  }

  protected override async do(volume: VolumeRow): Promise<void> {
    try {
      const operation = await this.requests.create(internalContext(undefined, volume.project), volume, { name: '' }, volume.config['snapshots.pattern'] ?? '');
      const { status, err } = await operation.wait();
      if (status !== 'Success') this.warn(volume, err);
    } catch (error) {
      this.warn(volume, messageOf(error));
    }
  }

  private warn({ pool, project, name }: VolumeRow, error: string): void {
    this.logger.warn('Failed taking a scheduled snapshot of a volume', { pool, project, volume: name, error });
  }
}
