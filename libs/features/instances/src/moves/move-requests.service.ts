import { Injectable } from '@nestjs/common';
import type { InstancePost } from '#api-types';
import { forbidden, internal, invalid, LocalMember, notFound, notImplemented, unavailable, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ClusterMembers } from '#features/cluster';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { InstanceMoves } from '../instance-moves.js';
import { PowerStates } from '../power-states.js';
import { moveInstance } from './move-instance.operation.js';

const noCriu = "Unable to perform container live migration. CRIU isn't installed";

/** `POST /1.0/instances/{name}?target=`: to another member, with LXD's words for what cannot be done. */
@Injectable()
export class MoveRequests {
  constructor(
    private readonly operations: OperationsService,
    private readonly moves: InstanceMoves,
    private readonly members: ClusterMembers,
    private readonly states: PowerStates,
    private readonly self: LocalMember,
  ) {}

  async toMember(ctx: RequestContext, instance: ExpandedInstance, request: InstancePost, target: string): Promise<OperationHandle> {
    const { row } = instance;
    const member = this.members.candidates().find(({ name }) => name === target);
    if (member === undefined) throw notFound('Failed to get target node: Cluster member not found');
    if (!request.migration) throw invalid('Renaming an instance does not take a target');
    if (member.id === this.self.id) throw invalid("Target must be different than instance's current location");
    if (member.state === 'evacuated') throw forbidden('Cluster member is evacuated');
    if (!member.online) throw unavailable('Target cluster member is offline');
    if (request.name && request.name !== row.name) throw notImplemented('Renaming an instance while it moves to another member is not supported by this server');
    const { kind, description } = moveInstance;
    return this.operations.runInMemory(ctx, {
      kind, class: 'task', description, resources: instanceResources(row),
      run: async ({ signal }) => {
        if (this.states.isRunning(hostName(row))) throw internal(request.live ? `Failed stopping instance "${row.name}": ${noCriu}` : 'Instance must be stopped to be moved statelessly');
        await this.moves.move(ctx, instance, member.id, { signal });
      },
    });
  }
}
