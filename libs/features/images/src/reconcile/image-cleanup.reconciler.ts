import { Injectable } from '@nestjs/common';
import { internalContext, SystemClock } from '#kernel';
import { Reconciler } from '#platform/reconcile';
import { ImageLibrary } from '../image-library.js';
import { ImageReplicas } from '../image-replicas.service.js';
import { ImageUpdates } from '../image-updates.service.js';

/** Files no row speaks of, and cached images nobody has used for long, go. */
@Injectable()
export class ImageCleanupReconciler extends Reconciler {
  override readonly name = 'image-cleanup';
  override readonly periodMs = 24 * 3600 * 1000;

  constructor(private readonly library: ImageLibrary, private readonly updates: ImageUpdates, private readonly replicas: ImageReplicas) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    const ctx = internalContext(signal);
    await this.library.removeOrphans(ctx);
    if (this.replicas.isResponsible()) await this.updates.removeExpired(ctx, new SystemClock());
  }
}
