import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeEvents } from '../volume-events.js';
import { VolumeUsers } from '../volume-users.service.js';
import { volumeKeyOf, type RenameVolumeParams } from '../volume-operation.params.js';

/** The new name becomes the volume's, also in the devices that name it: the commit point. */
@Injectable()
export class RenameVolumeRowStep extends Step<RenameVolumeParams, void> {
  readonly name = 'rename-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly users: VolumeUsers,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameVolumeParams): Promise<void> {
    const from = volumeKeyOf(params);
    const to = { ...from, name: params.newName };
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.volumes.find(tx.sql, from);
      if (row === undefined) return;
      if (this.volumes.find(tx.sql, to)?.state === 'Creating') this.volumes.delete(tx, to);
      this.volumes.rename(tx, from, params.newName);
      this.users.follow(tx, from, to);
      this.events.announce(tx, context.ctx, to, { action: 'storage-volume-renamed', context: { old_name: params.name } });
    });
  }

  override async undo(context: StepContext, params: RenameVolumeParams): Promise<void> {
    const to = volumeKeyOf(params);
    const from = { ...to, name: params.newName };
    await this.runner.run(context.ctx, (tx) => {
      if (this.volumes.find(tx.sql, from)?.state !== 'Created' || this.volumes.find(tx.sql, to) !== undefined) return;
      this.volumes.rename(tx, from, params.name);
      this.users.follow(tx, from, to);
    });
  }
}
