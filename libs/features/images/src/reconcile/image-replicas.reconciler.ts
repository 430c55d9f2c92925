import { Injectable } from '@nestjs/common';
import { internalContext } from '#kernel';
import { Reconciler } from '#platform/reconcile';
import { ImageReplicas } from '../image-replicas.service.js';

/** Fetches copies this member is to hold, removes those of images that are no more. Rows of images and of who holds them wake it. */
@Injectable()
export class ImageReplicasReconciler extends Reconciler {
  override readonly name = 'image-replicas';
  override readonly periodMs = 60_000;

  constructor(private readonly replicas: ImageReplicas) { super(); }

  override run(signal: AbortSignal): Promise<void> {
    return this.replicas.settle(internalContext(signal));
  }
}
