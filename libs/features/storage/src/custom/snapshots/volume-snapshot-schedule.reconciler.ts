import { Injectable } from '@nestjs/common';
import { isScheduledAt } from '#config-schema';
import { Clock, internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Database } from '#platform/database';
import { isWithin, Minutes, Reconciler } from '#platform/reconcile';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from '../../data/volumes.repository.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';

/** Snapshots by `snapshots.schedule` of this member's custom volumes, named by `snapshots.pattern`. One that fails is told and waits for its next time. */
@Injectable()
export class VolumeSnapshotScheduleReconciler extends Reconciler {
  override readonly name = 'volume-snapshot-schedule';
  override readonly periodMs = 5000;
  private readonly minutes = new Minutes();

  constructor(
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly requests: VolumeSnapshotRequests,
    private readonly self: LocalMember,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    for (const { at, first } of this.minutes.passed(this.clock.now())) {
      for (const volume of this.volumes.scheduled(this.database.read, this.self.id)) {
        if (signal.aborted) return;
        if (!isScheduledAt(volume.config['snapshots.schedule'] ?? '', at, volume.id)) continue;
        // By a daemon that ended within this minute.
        if (first && this.snapshots.list(this.database.read, volume.id).some(({ createdAt }) => isWithin(createdAt, at))) continue;
        await this.take(volume);
      }
    }
  }

  private async take(volume: VolumeRow): Promise<void> {
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
