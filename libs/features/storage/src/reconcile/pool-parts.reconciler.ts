import { Injectable } from '@nestjs/common';
import { Reconciler } from '#platform/reconcile';
import { PoolParts } from '../pool-parts.service.js';

/** Makes this member's parts of pools it joined, ends what was cut short, mounts what could not be mounted. Rows that name the member wake it. */
@Injectable()
export class PoolPartsReconciler extends Reconciler {
  override readonly name = 'pool-parts';
  override readonly periodMs = 60_000;

  constructor(private readonly parts: PoolParts) { super(); }

  override run(): Promise<void> {
    return this.parts.settleOpen();
  }
}
