import { Injectable } from '@nestjs/common';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import type { UpdateInstanceParams } from '../instance-operation.params.js';

/** Tells the world, once the host has taken the change. */
@Injectable()
export class AnnounceUpdateStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'announce';
  override readonly saveOutput = false;

  constructor(private readonly events: InstanceLifecycleEvents) {
    super();
  }

  override async run(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    this.events.send('updated', params);
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was told cannot be untold');
  }
}
