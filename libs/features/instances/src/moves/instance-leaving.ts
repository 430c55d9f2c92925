import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import { OperationsService } from '#platform/operations';
import type { InstanceRow } from '../data/instance.repository.js';
import { instanceConflictKey } from '../instance-urls.js';
import { moveInstance } from './move-instance.operation.js';

/**
 * Instances that are on their way to another member. From the moment this member has seen the move it starts them no more until it sees the move's end: its
 * target may have got them meanwhile, and only the rows say so (hazards B1).
 */
@Injectable()
export class InstanceLeaving {
  constructor(private readonly operations: OperationsService) {}

  /** @throws `conflict` */
  refuse(row: InstanceRow): void {
    if (this.operations.holder(instanceConflictKey(row))?.kind === moveInstance.kind) throw conflict('Instance is busy running a "move" operation');
  }
}
