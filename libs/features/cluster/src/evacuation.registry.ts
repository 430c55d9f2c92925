import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';

export interface EvacuationRun {
  /** Instead of each instance's `cluster.evacuate`: `stop`, `migrate`, `live-migrate`; empty for none. */
  readonly mode: string;
  readonly signal: AbortSignal;
  /** Merges into the operation's metadata, as LXD's `evacuation_progress`. */
  readonly update: (metadata: Record<string, unknown>) => void;
}

/** Empties this member and fills it again. Runs on the member it is about; may run again after a kill in the middle. */
export interface Evacuator {
  evacuate(ctx: RequestContext, run: EvacuationRun): Promise<void>;
  /** Brings back what was evacuated and starts what was stopped. */
  restore(ctx: RequestContext, run: EvacuationRun): Promise<void>;
}

/** Who knows how to evacuate; features register themselves in their constructors. */
@Injectable()
export class EvacuationRegistry implements Evacuator {
  private readonly evacuators: Evacuator[] = [];

  register(evacuator: Evacuator): void {
    this.evacuators.push(evacuator);
  }

  async evacuate(ctx: RequestContext, run: EvacuationRun): Promise<void> {
    for (const evacuator of this.evacuators) await evacuator.evacuate(ctx, run);
  }

  async restore(ctx: RequestContext, run: EvacuationRun): Promise<void> {
    for (const evacuator of this.evacuators.toReversed()) await evacuator.restore(ctx, run);
  }
}
