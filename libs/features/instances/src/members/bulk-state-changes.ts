import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { instanceStatePut, type InstanceStatePut } from '#api-types';
import { internalContext, LocalMember, messageOf, type RequestContext } from '#kernel';
import { Peers } from '#ports';
import type { OperationHandle } from '#platform/operations';
import { InstanceStateChanges } from '../instance-state.service.js';
import { handleChecked } from './checked-handlers.js';

const request = z.object({ project: z.string(), state: instanceStatePut });

/** `PUT /1.0/instances`: each member changes its own, in an operation of its own; the one that was asked ends when all have. */
@Injectable()
export class BulkStateChanges {
  constructor(
    private readonly states: InstanceStateChanges,
    private readonly peers: Peers,
    private readonly self: LocalMember,
  ) {
    handleChecked(peers, 'instances.change-all', request, async ({ project, state }, { requestor }) => {
      const operation = await this.states.changeAll({ ...internalContext(undefined, project), requestor }, state);
      await operation.done;
      return { error: operation.api().err };
    });
  }

  change(ctx: RequestContext, state: InstanceStatePut): Promise<OperationHandle> {
    return this.states.changeAll(ctx, state, () => this.elsewhere(ctx, state));
  }

  private async elsewhere(ctx: RequestContext, state: InstanceStatePut): Promise<string[]> {
    if (!this.self.clustered) return [];
    const members = this.peers.others().filter(({ id }) => this.peers.isOnline(id));
    const failures = await Promise.all(members.map(async ({ id, name }) => {
      try {
        const { error } = await this.peers.call<{ error: string }>(id, 'instances.change-all', { project: ctx.project, state }, { timeoutMs: 0, requestor: ctx.requestor });
        return error === '' ? '' : ` - Member: ${name}: ${error}\n`;
      } catch (error) {
        return ` - Member: ${name}: ${messageOf(error)}\n`;
      }
    }));
    return failures.filter((failure) => failure !== '');
  }
}
