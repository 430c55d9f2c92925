import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { rootVolumeKey, type CreateInstanceParams } from '../instance-operation.params.js';

/** The rows reserved with the operation; its `run` does nothing, its undo takes them back. */
@Injectable()
export class ReserveInstanceRowsStep extends Step<CreateInstanceParams, void> {
  readonly name = 'reserve-rows';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      this.volumes.releaseInstanceVolume(tx, rootVolumeKey(params));
      if (row === undefined) return;
      this.repository.remove(tx, row.id);
      tx.afterCommit(() => this.member.forget(row.id));
    });
  }
}
