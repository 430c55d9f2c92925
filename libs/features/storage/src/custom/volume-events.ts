import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import type { Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl } from '#platform/http';
import type { VolumeKey } from '../data/volumes.repository.js';

export interface VolumeEvent {
  /** `storage-volume-created`. */
  readonly action: string;
  /** Below the volume: `['snapshots', 's0']`. */
  readonly path?: readonly string[];
  readonly context?: Record<string, unknown>;
}

/** Lifecycle events of volumes. */
@Injectable()
export class VolumeEvents {
  constructor(private readonly events: EventBus) {}

  /** Once it is written. */
  announce(tx: Tx, ctx: RequestContext, volume: VolumeKey, event: VolumeEvent): void {
    tx.afterCommit(() => this.send(ctx, volume, event));
  }

  /** At once. LXD names the type of an instance's or image's volume in the plural here and nowhere else. */
  send(ctx: RequestContext, { pool, type, name, project }: VolumeKey, { action, path = [], context }: VolumeEvent): void {
    const plural = type === 'custom' ? type : `${type}s`;
    const source = apiUrl(['1.0', 'storage-pools', pool, 'volumes', plural, name, ...path], project);
    this.events.lifecycle({ action, source, project, context, requestor: ctx.requestor });
  }
}
