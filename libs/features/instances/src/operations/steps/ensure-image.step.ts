import { Injectable } from '@nestjs/common';
import type { ConfigMap } from '#api-types';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import type { CreateInstanceParams, EnsuredImage } from '../instance-operation.params.js';
import { sorted } from '../../rules/expand.rules.js';
import { imageConfig } from '../../rules/image-config.rules.js';

/** The image's files are on this member, fetched if need be. */
@Injectable()
export class EnsureImageStep extends Step<CreateInstanceParams, EnsuredImage> {
  readonly name = 'ensure-image';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams): Promise<EnsuredImage> {
    if (params.remote === null) {
      if (params.fingerprint !== '') await this.neighbors.ensureImageFiles(context.ctx, params.fingerprint);
      return { fingerprint: params.fingerprint };
    }
    const image = await this.neighbors.fetchImage(context.ctx, params.project, params.type, params.remote, context);
    await this.neighbors.ensureImageFiles(context.ctx, image.fingerprint);
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      if (row === undefined) return;
      this.neighbors.touchImage(tx, image.id);
      const config: ConfigMap = { ...imageConfig(image), ...row.config, 'volatile.base_image': image.fingerprint };
      this.repository.update(tx, row.id, { ...row, architecture: image.architecture || row.architecture, config: sorted(config) });
      context.save(tx, { fingerprint: image.fingerprint });
    });
    return { fingerprint: image.fingerprint };
  }

  override undo(): Promise<void> {
    return nothingToUndo('the image cache is shared and expires by itself');
  }
}
