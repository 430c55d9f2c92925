import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import { OperationsService } from '#platform/operations';
import type { InstanceRow } from '../data/instance.repository.js';
import { instanceConflictKey } from '../instance-urls.js';
import { refreshInstance } from '../copies/refresh-instance.operation.js';
import { receiveRefresh } from '../migrations/receive-instance.operation.js';
import { deleteInstance } from '../operations/delete-instance.operation.js';
import { renameInstance } from '../operations/rename-instance.operation.js';
import { rebuildInstance } from '../rebuilds/rebuild-instance.operation.js';
import { moveInstance } from './move-instance.operation.js';
import { restoreSnapshot } from '../snapshots/restore-snapshot.operation.js';
import { relocateInstance } from './relocate-instance.operation.js';

/** Work that replaces what an instance is, says where it is, or ends it; the locks in memory do not outlive a daemon that took it up again. */
const exclusive: ReadonlySet<string | undefined> = new Set([
  relocateInstance.kind, refreshInstance.kind, receiveRefresh.kind, rebuildInstance.kind, restoreSnapshot.kind, renameInstance.kind, deleteInstance.kind,
]);

/**
 * Instances that are not to be started now, above all those on their way to another member. From the moment this member has seen the move it starts them no more until it sees the move's end: its
 * target may have got them meanwhile, and only the rows say so (hazards B1).
 */
@Injectable()
export class InstanceLeaving {
  constructor(private readonly operations: OperationsService) {}

  /** @throws `conflict` */
  refuse(row: InstanceRow): void {
    const kind = this.operations.holder(instanceConflictKey(row))?.kind;
    if (kind === moveInstance.kind) throw conflict('Instance is busy running a "move" operation');
    if (exclusive.has(kind)) throw conflict(`Instance is busy running a "${kind?.split('.')[1]}" operation`);
  }
}
