import { Injectable } from '@nestjs/common';
import { notFound } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, OperationsService, Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { discardVolume } from '../../discard-volume.operation.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import { VolumeUsers } from '../../volume-users.service.js';
import type { CopyVolumeParams } from '../copy-volume.params.js';
import { CopiedRows } from '../copied-rows.js';

/** The volume is where it was to go, also for the devices that name it, and what it was goes: the commit point, and the end. */
@Injectable()
export class SwitchVolumeStep extends Step<CopyVolumeParams, void> {
  readonly name = 'switch';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly users: VolumeUsers,
    private readonly rows: CopiedRows,
    private readonly operations: OperationsService,
  ) {
    super();
  }

  override async run(context: StepContext, params: CopyVolumeParams): Promise<void> {
    const [from, to] = [volumeKeyOf(params.source), volumeKeyOf(params)];
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      if (this.volumes.find(tx.sql, to)?.state === 'Created') return context.finish(tx);
      const source = this.volumes.findCreated(tx.sql, from);
      if (source === undefined) throw notFound('Storage pool volume not found');
      this.rows.show(tx, context.ctx, params);
      this.users.follow(tx, from, to);
      this.volumes.setState(tx, source.id, 'Deleting');
      this.operations.delegate(tx, context.ctx, discardVolume.kind, params.source, { memberId: params.source.memberId, resources: {} });
      context.finish(tx);
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('nothing follows it that could fail');
  }
}
