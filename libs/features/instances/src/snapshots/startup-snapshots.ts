import { Injectable } from '@nestjs/common';
import { scheduleHas } from '#config-schema';
import { AppError, internal, internalContext, Logger, messageOf, wrap } from '#kernel';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { SnapshotRequests } from './snapshot-requests.service.js';

/** `@startup` in `snapshots.schedule`: a snapshot before each start. */
@Injectable()
export class StartupSnapshots {
  constructor(
    private readonly requests: SnapshotRequests,
    private readonly logger: Logger,
  ) {}

  /** @throws when it cannot be taken, unless that is for want of a quorum: a start must not wait for one (hazards D2). */
  async take(instance: ExpandedInstance): Promise<void> {
    const { row, expandedConfig } = instance;
    if (!scheduleHas(expandedConfig['snapshots.schedule'] ?? '', '@startup')) return;
    try {
      const operation = await (await this.requests.create(internalContext(undefined, row.project), instance, {})).wait();
      if (operation.status !== 'Success') throw internal(operation.err);
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw wrap(error, 'Failed taking startup snapshot');
      this.logger.warn('Failed taking a snapshot before a start', { project: row.project, instance: row.name, error: messageOf(error) });
    }
  }
}
