import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { ArrivingInstance } from '../arriving-instance.js';
import { isSamePlace, volumeAt, type RelocateInstanceParams } from '../relocation.params.js';

/** The volume's rows, reserved with the operation; its undo takes them back, unless the instance is there by then. */
@Injectable()
export class ReserveRelocatedVolumeStep extends Step<RelocateInstanceParams, void> {
  readonly name = 'reserve-volume';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly arriving: ArrivingInstance,
    private readonly volumes: VolumesService,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: RelocateInstanceParams): Promise<void> {
    if (isSamePlace(params, params.to)) return;
    await this.runner.run(context.ctx, (tx) => {
      const volume = volumeAt(params.type, params.to);
      if (!this.arriving.isAt(params.id, params.to, tx.sql)) this.volumes.releaseInstanceVolume(tx, volume);
    });
  }
}
