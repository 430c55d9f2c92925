import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { VolumeMigrations, VolumesService } from '#features/storage';
import { RefreshedSnapshots } from '../../copies/refreshed-snapshots.js';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import type { ReceiveRefreshParams } from '../migration.params.js';

/** Sets snapshots aside that go, and takes what the other server sends: snapshots that come, and the content. Output: how ids lie in the files now. */
@Injectable()
export class ReceiveRefreshStep extends Step<ReceiveRefreshParams, string> {
  // The name under which the rows' step looks for the output.
  readonly name = 'refresh-volume';

  constructor(
    private readonly migrations: VolumeMigrations,
    private readonly volumes: VolumesService,
    private readonly aside: RefreshedSnapshots,
  ) {
    super();
  }

  override async run(context: StepContext, params: ReceiveRefreshParams): Promise<string> {
    const arrival = this.migrations.arriving(params.session);
    if (arrival === undefined) throw unavailable('The other side has hung up');
    const token = restoreToken(context.operationId);
    await this.aside.setAside(params, token);
    await arrival.receive({ name: params.name, volume: this.volumes.volumeSpec(rootVolumeKey(params)), sizeBytes: 0, refreshToken: token }, context.signal);
    return params.idmap;
  }

  override async undo(context: StepContext, params: ReceiveRefreshParams): Promise<void> {
    await this.aside.putBack(params, restoreToken(context.operationId));
  }
}
