import { Injectable } from '@nestjs/common';
import type { InstanceStatePut } from '#api-types';
import { internal, invalid, KeyedMutex, messageOf, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstancePower } from './instance-power.service.js';
import { instanceUrl } from './instance-urls.js';
import { MemberMaintenance } from './members/member-maintenance.js';

interface Action {
  readonly kind: string;
  readonly description: string;
  readonly run: (ctx: RequestContext, instance: ExpandedInstance) => Promise<void>;
  /** Whether a bulk change concerns this instance. */
  readonly concerns: (instance: ExpandedInstance) => boolean;
}

/** How many instances a bulk change works on at once. */
const bulkWidth = 4;

/** `PUT .../state`: power changes as operations in memory of this member. */
@Injectable()
export class InstanceStateChanges {
  private readonly slots = new KeyedMutex();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstancePower,
    private readonly operations: OperationsService,
    private readonly maintenance: MemberMaintenance,
  ) {}

  change(ctx: RequestContext, instance: ExpandedInstance, request: InstanceStatePut): Promise<OperationHandle> {
    const action = this.actionOf(request);
    if (request.action === 'start') this.maintenance.assertInUse();
    return this.operations.runInMemory(ctx, {
      kind: action.kind, class: 'task', description: action.description, resources: { instances: [instanceUrl(instance.row)] },
      run: () => action.run(ctx, instance),
    });
  }

  /** All instances of the project on this member that are not yet as wanted. */
  changeAll(ctx: RequestContext, request: InstanceStatePut, alsoThere?: () => Promise<string[]>): Promise<OperationHandle> {
    const action = this.actionOf(request);
    const keptDown = request.action === 'start' && this.maintenance.evacuated();
    const concerned = (keptDown ? [] : this.catalog.local()).filter((instance) => instance.row.project === ctx.project && action.concerns(instance));
    const instances = concerned.map(({ row }) => instanceUrl(row));
    return this.operations.runInMemory(ctx, {
      kind: action.kind, class: 'task', description: action.description, resources: { instances },
      run: async () => {
        const others = alsoThere?.() ?? Promise.resolve([]);
        const failures = (await Promise.all(concerned.map((instance, index) => this.slots.run(String(index % bulkWidth), () => this.attempt(ctx, action, instance)))))
          .filter((failure) => failure !== null).concat(await others);
        if (failures.length > 0) throw internal(`The following instances failed to update state:\n${failures.join('')}`);
      },
    });
  }

  private async attempt(ctx: RequestContext, action: Action, instance: ExpandedInstance): Promise<string | null> {
    try {
      await action.run(ctx, instance);
      return null;
    } catch (error) {
      return ` - Instance: ${instance.row.name}: ${messageOf(error)}\n`;
    }
  }

  private actionOf(request: InstanceStatePut): Action {
    // As in LXD: for ever unless a time is given, and no time at all is by force.
    const seconds = request.timeout ?? -1;
    const options = { force: request.force === true || seconds === 0, timeoutMs: Math.max(0, seconds) * 1000 };
    const runs = (instance: ExpandedInstance): boolean => this.power.isRunning(instance);
    switch (request.action) {
      case 'start':
        return {
          kind: 'instance.start', description: 'Starting instance', concerns: (instance) => !runs(instance),
          run: (ctx, instance) => this.power.start(ctx, instance, { stateful: request.stateful, force: request.force ?? false }),
        };
      case 'stop':
        return {
          kind: 'instance.stop', description: 'Stopping instance', concerns: runs,
          run: (ctx, instance) => (request.stateful === true ? this.power.stopWithState(ctx, instance) : this.power.stop(ctx, instance, options)),
        };
      case 'restart':
        return { kind: 'instance.restart', description: 'Restarting instance', concerns: runs, run: (ctx, instance) => this.power.restart(ctx, instance, options) };
      case 'freeze':
        return { kind: 'instance.freeze', description: 'Freezing instance', concerns: runs, run: (ctx, instance) => this.power.freeze(ctx, instance) };
      case 'unfreeze':
        return { kind: 'instance.unfreeze', description: 'Unfreezing instance', concerns: runs, run: (ctx, instance) => this.power.unfreeze(ctx, instance) };
      default:
        throw invalid(`Unknown action: '${request.action ?? ''}'`);
    }
  }
}
