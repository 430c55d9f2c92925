import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { VolumeMigrations } from '../../../migration/volume-migrations.service.js';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import type { ReceivedVolumeParams } from '../received-volume.params.js';

/** Fills the reserved volume, and its snapshots, with what the other server sends. */
@Injectable()
export class ReceiveVolumeStep extends Step<ReceivedVolumeParams, void> {
  readonly name = 'receive-files';
  // Nobody goes on with a conversation of a dead process: what it left is undone.
  override readonly saveOutput = false;

  constructor(private readonly migrations: VolumeMigrations, private readonly host: CustomVolumeHost) {
    super();
  }

  override async run(context: StepContext, params: ReceivedVolumeParams): Promise<void> {
    const arrival = this.migrations.arriving(params.session);
    if (arrival === undefined) throw unavailable('The other side has hung up');
    await arrival.receive({ name: params.name, volume: this.host.spec(params), sizeBytes: params.sizeBytes, refreshToken: '', shifted: params.shifted }, context.signal);
  }

  override async undo(_context: StepContext, params: ReceivedVolumeParams): Promise<void> {
    await this.host.destroy(params);
  }
}
