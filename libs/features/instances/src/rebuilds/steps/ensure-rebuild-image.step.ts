import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { imageConfig } from '../../rules/image-config.rules.js';
import type { RebuildImage, RebuildInstanceParams } from '../rebuild-operation.params.js';

/** The image's files are on this member, fetched if need be. */
@Injectable()
export class EnsureRebuildImageStep extends Step<RebuildInstanceParams, RebuildImage> {
  readonly name = 'ensure-image';

  constructor(
    private readonly neighbors: InstanceNeighbors,
    private readonly runner: TransactionRunner,
  ) {
    super();
  }

  override async run(context: StepContext, { project, type, fingerprint, remote }: RebuildInstanceParams): Promise<RebuildImage> {
    if (remote === null && fingerprint === '') return { fingerprint, config: {} };
    const image = remote === null ? this.neighbors.localImage(context.ctx, project, { fingerprint }) : await this.neighbors.fetchImage(context.ctx, project, type, remote, context);
    await this.neighbors.ensureImageFiles(context.ctx, image?.fingerprint ?? fingerprint);
    if (image === null) return { fingerprint, config: { 'volatile.base_image': fingerprint } };
    await this.runner.run(context.ctx, (tx) => this.neighbors.touchImage(tx, image.id));
    return { fingerprint: image.fingerprint, config: { ...imageConfig(image), 'volatile.base_image': image.fingerprint } };
  }

  override undo(): Promise<void> {
    return nothingToUndo('the image cache is shared and expires by itself');
  }
}
