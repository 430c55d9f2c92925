import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceHostEvents } from '../instance-host-events.service.js';
import { InstanceHostPower } from '../instance-host-power.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceMoves, type MoveWatch } from '../instance-moves.js';
import { hostShutdownTimeoutMs } from '../rules/boot-order.rules.js';
import { sorted } from '../rules/expand.rules.js';

const power = 'volatile.last_state.power';
const origin = 'volatile.evacuate.origin';

export interface Departure {
  /** `nodes.id` of where it goes. */
  readonly to: number;
  /** Name of the member it is to return to; null when it returns. */
  readonly origin: string | null;
  readonly watch?: MoveWatch;
}

/**
 * Instances that leave this member, for another or for a while. Whether one ran is written to its row before it goes: the member that gets it knows
 * nothing of it, and after a crash of either the row says that it is to run.
 */
@Injectable()
export class InstanceDepartures {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly repository: InstanceRepository,
    private readonly transactions: TransactionRunner,
    private readonly host: InstanceHostPower,
    private readonly hostEvents: InstanceHostEvents,
    private readonly events: InstanceLifecycleEvents,
    private readonly moves: InstanceMoves,
  ) {}

  isRunning(instance: ExpandedInstance): boolean {
    return this.host.isRunning(instance);
  }

  /** It runs, or would if it could: it was stopped for this, or nobody has started it here yet. */
  isToRun(instance: ExpandedInstance): boolean {
    return this.host.isRunning(instance) || this.catalog.fullConfig(instance)[power] === 'RUNNING';
  }

  /** As when the host goes down, by force once its time is over; remembered as running. */
  async stop(instance: ExpandedInstance): Promise<void> {
    const { name, project, id } = instance.row;
    const seen = this.hostEvents.overlook(id);
    try {
      const clean = await this.host.stopForHost(instance, hostShutdownTimeoutMs({ name, project, config: this.catalog.fullConfig(instance) }));
      this.events.send(clean ? 'shutdown' : 'stopped', instance.row);
    } finally {
      seen();
    }
  }

  /** Of one that does not run (any more). */
  async leave(ctx: RequestContext, instance: ExpandedInstance, { to, origin: home, watch }: Departure): Promise<void> {
    const seen = this.hostEvents.overlook(instance.row.id);
    try {
      const marked = await this.mark(ctx, instance, { [power]: this.isToRun(instance) ? 'RUNNING' : '', ...(home === null ? {} : { [origin]: home }) });
      await this.moves.move(ctx, marked, to, watch);
    } finally {
      seen();
    }
  }

  /** It is back, or stays: nobody is to bring it anywhere. */
  async settle(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    await this.mark(ctx, instance, { [origin]: '', [power]: '' });
  }

  /** Instances that belong on the member of this name and are elsewhere, or back and not settled. */
  ofOrigin(name: string): ExpandedInstance[] {
    return this.catalog.all().filter(({ row }) => row.config[origin] === name && row.state === 'Created');
  }

  private async mark(ctx: RequestContext, { row: { id } }: ExpandedInstance, keys: Readonly<Record<string, string>>): Promise<ExpandedInstance> {
    return this.transactions.run(ctx, (tx) => {
      const row = this.repository.findById(id, tx.sql)!;
      const kept = Object.entries({ ...row.config, ...keys }).filter(([key, value]) => value !== '' || !Object.hasOwn(keys, key));
      const config = sorted(Object.fromEntries(kept));
      if (JSON.stringify(config) !== JSON.stringify(row.config)) this.repository.update(tx, id, { ...row, config });
      return this.catalog.expand({ ...row, config }, tx.sql);
    });
  }
}
