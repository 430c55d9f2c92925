import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { formerVolume, type DiscardInstanceParams } from '../move-operation.params.js';

/** The last trace here: from now on an instance of that name can come. */
@Injectable()
export class DiscardRowsStep extends Step<DiscardInstanceParams, void> {
  readonly name = 'discard-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesService,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(context: StepContext, params: DiscardInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      this.volumes.releaseInstanceVolume(tx, formerVolume(params));
      context.finish(tx);
      tx.afterCommit(() => {
        const instance = this.catalog.findById(params.id);
        if (instance === undefined || !this.catalog.isLocal(instance)) this.member.forget(params.id);
      });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row is the last to go');
  }
}
