import { Injectable } from '@nestjs/common';
import { notFound } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceBackupRepository } from '../../data/instance-backup.repository.js';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import type { CreateBackupParams } from '../backup-operation.params.js';

/** The backup is there: the commit point. */
@Injectable()
export class MarkBackupReadyStep extends Step<CreateBackupParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly instances: InstanceRepository,
    private readonly repository: InstanceBackupRepository,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, { id, backupId, backup }: CreateBackupParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const instance = this.instances.findById(id, tx.sql);
      if (instance === undefined || !this.repository.setCreated(tx, backupId)) throw notFound('Create backup: Instance not found');
      tx.afterCommit(() => this.events.send('backup-created', instance, { path: ['backups', backup] }));
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row goes with its reservation');
  }
}
