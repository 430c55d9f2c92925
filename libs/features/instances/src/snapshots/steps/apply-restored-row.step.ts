import { Injectable } from '@nestjs/common';
import { nothingToUndo, Step, type Outputs, type StepContext } from '#platform/operations';
import { InstanceChangeParts } from '../../instance-change-parts.js';
import type { RestoredRow, RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** Quota, host and DHCP follow the restored row. */
@Injectable()
export class ApplyRestoredRowStep extends Step<RestoreSnapshotParams, void> {
  readonly name = 'apply-on-host';
  override readonly saveOutput = false;

  constructor(private readonly changes: InstanceChangeParts) {
    super();
  }

  override async run(_context: StepContext, _params: RestoreSnapshotParams, outputs: Outputs): Promise<void> {
    const { before, after } = outputs['write-row'] as RestoredRow;
    await this.changes.applyOnHost(before, after);
  }

  override undo(): Promise<void> {
    return nothingToUndo('the host follows the former row when that is written back');
  }
}
