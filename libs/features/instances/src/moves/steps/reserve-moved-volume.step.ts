import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { movedVolume, type MoveInstanceParams } from '../move-operation.params.js';

/** The volume's row on this member, reserved with the operation; its undo takes it back, unless the instance is here by then. */
@Injectable()
export class ReserveMovedVolumeStep extends Step<MoveInstanceParams, void> {
  readonly name = 'reserve-volume';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly self: LocalMember,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: MoveInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      if (this.repository.findById(params.id, tx.sql)?.memberId !== this.self.id) this.volumes.releaseInstanceVolume(tx, movedVolume(params));
    });
  }
}
