import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import { VolumeSnapshots } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { VolumeMigrations } from '../../../migration/volume-migrations.service.js';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { restoreToken } from '../../snapshots/volume-snapshot.params.js';
import type { ReceivedRefreshParams } from '../received-volume.params.js';

/** Takes what the other server sends: snapshots that are missing, and the files. What the volume held before is kept until all is done. */
@Injectable()
export class ReceiveVolumeRefreshStep extends Step<ReceivedRefreshParams, void> {
  readonly name = 'receive-files';
  override readonly saveOutput = false;

  constructor(
    private readonly migrations: VolumeMigrations,
    private readonly host: CustomVolumeHost,
    private readonly driver: VolumeSnapshots,
  ) {
    super();
  }

  override async run(context: StepContext, params: ReceivedRefreshParams): Promise<void> {
    const arrival = this.migrations.arriving(params.session);
    if (arrival === undefined) throw unavailable('The other side has hung up');
    await arrival.receive({ name: params.name, volume: this.host.spec(params), sizeBytes: 0, refreshToken: restoreToken(context.operationId), shifted: params.shifted }, context.signal);
  }

  override async undo(context: StepContext, params: ReceivedRefreshParams): Promise<void> {
    const volume = this.host.spec(params);
    await this.driver.undoRestore(volume, restoreToken(context.operationId));
    for (const snapshot of params.added) await this.driver.destroySnapshot(volume, snapshot);
  }
}
