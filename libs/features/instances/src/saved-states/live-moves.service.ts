import { Injectable } from '@nestjs/common';
import { LocalMember, Logger, messageOf, wrap, type RequestContext } from '#kernel';
import { Peers } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceHostEvents } from '../instance-host-events.service.js';
import { InstancePower } from '../instance-power.service.js';

/** How one that runs is stopped for its move. */
export type StopForMove = (instance: ExpandedInstance) => Promise<void>;

/**
 * Moves of what runs. With its state it is written where it is, goes along in its volume, and is gone on from where it arrives; without, it is shut down and
 * started again.
 */
@Injectable()
export class LiveMoves {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstancePower,
    private readonly hostEvents: InstanceHostEvents,
    private readonly peers: Peers,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** Of one that runs. When `move` fails it goes on where it was. `shutDown` stops it without its state. @throws in LXD's words. */
  async around(ctx: RequestContext, instance: ExpandedInstance, target: number, move: () => Promise<void>, shutDown?: StopForMove): Promise<void> {
    const seen = this.hostEvents.overlook(instance.row.id);
    try {
      // LXD says whom it failed to stop only of moves to another member.
      if (shutDown !== undefined) await shutDown(instance);
      else await (target === this.self.id ? this.power.suspend(ctx, instance) : this.stop(ctx, instance));
      await this.carryOut(ctx, instance, move);
      if (target === this.self.id) await this.goOn(ctx, instance.row.id);
      else await this.peers.call(target, 'instances.start-moved', { id: instance.row.id }, { timeoutMs: 0, requestor: ctx.requestor });
    } finally {
      seen();
    }
  }

  /** Stops one with its state that is to go to another member. @throws in LXD's words. */
  async suspend(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    const seen = this.hostEvents.overlook(instance.row.id);
    try {
      await this.stop(ctx, instance);
    } finally {
      seen();
    }
  }

  private async stop(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    try {
      await this.power.suspend(ctx, instance);
    } catch (error) {
      throw wrap(error, `Failed stopping instance "${instance.row.name}"`);
    }
  }

  private async carryOut(ctx: RequestContext, instance: ExpandedInstance, move: () => Promise<void>): Promise<void> {
    try {
      await move();
    } catch (error) {
      await this.goOn(ctx, instance.row.id).catch((failure: unknown) => this.logger.error('Failed starting an instance again that did not move', { instance: instance.row.name, error: messageOf(failure) }));
      throw error;
    }
  }

  private async goOn(ctx: RequestContext, id: number): Promise<void> {
    const instance = this.catalog.findById(id);
    if (instance !== undefined && this.catalog.isLocal(instance)) await this.power.start(ctx, instance, { stateful: instance.row.stateful });
  }
}
