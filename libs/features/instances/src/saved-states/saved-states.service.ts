import { Injectable } from '@nestjs/common';
import { conflict, type RequestContext } from '#kernel';
import { InstanceCheckpoints } from '#ports';
import { TransactionRunner } from '#platform/database';
import { VolumesService } from '#features/storage';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName } from '../instance-urls.js';
import { noLiveMigration } from '../rules/criu.rules.js';

/**
 * What was running in an instance, kept in its volume. The row says that it is there (`stateful`), and only once it is whole: an instance killed in between
 * starts anew.
 */
@Injectable()
export class SavedStates {
  constructor(
    private readonly checkpoints: InstanceCheckpoints,
    private readonly transactions: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
  ) {}

  /** Whether CRIU is installed on this member. */
  isAvailable(): Promise<boolean> {
    return this.checkpoints.isAvailable();
  }

  /** Writes what runs; it goes on, or ends with `stop`. @throws in LXD's words; it runs as before then. */
  async write(instance: ExpandedInstance, { stop }: { readonly stop: boolean }): Promise<void> {
    if (!(await this.isAvailable())) throw conflict(noLiveMigration);
    await this.checkpoints.writeState({ projectName: hostName(instance.row), stop });
  }

  /** It is there, and to be gone on from. */
  async note(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.mark(ctx, instance.row.id, true);
  }

  /** It was gone on from, or is not wanted. */
  async forget(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.mark(ctx, instance.row.id, false);
    await this.remove(instance);
  }

  /** Only the files. */
  async remove(instance: ExpandedInstance): Promise<void> {
    await this.checkpoints.discardState(this.volumes.volumeSpec(this.specs.volumeKey(instance)));
  }

  private async mark(ctx: RequestContext, id: number, stateful: boolean): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.repository.findById(id, tx.sql);
      if (row !== undefined && row.stateful !== stateful) this.repository.setStateful(tx, id, stateful);
    });
  }
}
