import { Injectable } from '@nestjs/common';
import { internalContext } from '#kernel';
import { LocalStore } from '#platform/database';
import { Reconciler } from '#platform/reconcile';
import { ServerConfig } from '#features/server';
import { ImageReplicas } from '../image-replicas.service.js';
import { ImageUpdates } from '../image-updates.service.js';

const hourMs = 3600 * 1000;
const bucket = 'images';
const key = 'last_update';

/** Images with `auto_update` are those their server has now, as of `images.auto_update_interval` hours ago at most. */
@Injectable()
export class ImageUpdateReconciler extends Reconciler {
  override readonly name = 'image-update';
  /** How often the interval is looked at, which makes a changed one count without a restart. */
  override readonly periodMs = 10 * 60 * 1000;

  constructor(private readonly updates: ImageUpdates, private readonly config: ServerConfig, private readonly local: LocalStore, private readonly replicas: ImageReplicas) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    // In a cluster one member does it for all; copies for the others follow.
    if (!this.replicas.isResponsible()) return;
    const hours = this.config.int('images.auto_update_interval');
    const last = Number(this.local.get(bucket, key) ?? '0');
    if (hours <= 0 || new Date().getTime() - last < hours * hourMs) return;
    await this.updates.updateAll(internalContext(signal));
    if (!signal.aborted) this.local.set(bucket, key, String(new Date().getTime()));
  }
}
