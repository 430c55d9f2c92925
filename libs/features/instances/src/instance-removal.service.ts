import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog } from './data/instance.catalog.js';
import { InstanceSpecs } from './instance-specs.js';
import { instanceResources } from './instance-urls.js';
import { deleteInstance } from './operations/delete-instance.operation.js';
import type { DeleteInstanceParams } from './operations/instance-operation.params.js';

/** Schedules the deletion of instances: asked for, or because an ephemeral one has stopped. */
@Injectable()
export class InstanceRemoval {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly operations: OperationsService,
  ) {}

  async schedule(ctx: RequestContext, project: string, name: string): Promise<OperationHandle> {
    const instance = this.catalog.get(project, name);
    const { id, type } = instance.row;
    const params: DeleteInstanceParams = { id, project, name, type, pool: this.specs.rootOf(instance).pool };
    return this.operations.schedule(ctx, deleteInstance.kind, params, { resources: instanceResources(instance.row) });
  }
}
