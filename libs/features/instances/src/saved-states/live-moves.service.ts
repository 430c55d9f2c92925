import { Injectable } from '@nestjs/common';
import { LocalMember, Logger, messageOf, wrap, type RequestContext } from '#kernel';
import { Peers } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';

/** Moves of what runs: its state is written where it is, goes along in its volume, and is gone on from where it arrives. */
@Injectable()
export class LiveMoves {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstancePower,
    private readonly peers: Peers,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** Of one that runs. When `move` fails it goes on where it was. @throws in LXD's words. */
  async around(ctx: RequestContext, instance: ExpandedInstance, target: number, move: () => Promise<void>): Promise<void> {
    // LXD says whom it failed to stop only of moves to another member.
    await (target === this.self.id ? this.power.stopWithState(ctx, instance) : this.stop(ctx, instance));
    try {
      await move();
    } catch (error) {
      await this.goOn(ctx, instance.row.id).catch((failure: unknown) => this.logger.error('Failed starting an instance again that did not move', { instance: instance.row.name, error: messageOf(failure) }));
      throw error;
    }
    if (target === this.self.id) await this.goOn(ctx, instance.row.id);
    else await this.peers.call(target, 'instances.start-moved', { id: instance.row.id }, { timeoutMs: 0, requestor: ctx.requestor });
  }

  /** @throws with LXD's words for what does not let itself be moved. */
  async stop(ctx: RequestContext, instance: ExpandedInstance): Promise<void> {
    try {
      await this.power.stopWithState(ctx, instance);
    } catch (error) {
      throw wrap(error, `Failed stopping instance "${instance.row.name}"`);
    }
  }

  private async goOn(ctx: RequestContext, id: number): Promise<void> {
    const instance = this.catalog.findById(id);
    if (instance !== undefined && this.catalog.isLocal(instance)) await this.power.start(ctx, instance, { stateful: instance.row.stateful });
  }
}
