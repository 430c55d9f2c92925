import { Injectable } from '@nestjs/common';
import { conflict, internal } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { hostName } from '../../instance-urls.js';
import { ArrivingInstance } from '../arriving-instance.js';
import { isSamePlace, volumeAt, type RelocateInstanceParams } from '../relocation.params.js';

/** The files: renamed within their pool, copied to another. */
@Injectable()
export class RelocateVolumeStep extends Step<RelocateInstanceParams, void> {
  readonly name = 'relocate-volume';
  // What has the volume's name is whole; doing it again finds that.
  override readonly saveOutput = false;

  constructor(
    private readonly driver: InstanceDriver,
    private readonly arriving: ArrivingInstance,
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RelocateInstanceParams): Promise<void> {
    if (isSamePlace(params, params.to)) return;
    for (const place of [params, params.to]) {
      const [status] = await this.driver.describeStatus([hostName(place)]);
      if (status !== undefined && status.power !== 'Stopped') throw conflict('Instance must be stopped to be moved statelessly');
    }
    const [from, to] = [volumeAt(params.type, params), volumeAt(params.type, params.to)];
    if (from.pool === to.pool) return this.volumes.moveOnHost(from, to);
    if (!(await this.snapshots.isThere(from)) && !(await this.snapshots.isThere(to))) throw internal(`The volume of instance "${params.name}" is not there`);
    await this.snapshots.copy({ from, snapshot: '', to, snapshots: params.snapshots, sizeBytes: this.volumes.sizeBytes(to.pool, params.size) });
  }

  override async undo(_context: StepContext, params: RelocateInstanceParams): Promise<void> {
    if (isSamePlace(params, params.to) || this.arriving.isAt(params.id, params.to)) return;
    const [from, to] = [volumeAt(params.type, params), volumeAt(params.type, params.to)];
    if (from.pool === to.pool) await this.volumes.moveOnHost(to, from);
    else await this.volumes.destroyInstanceVolume(to);
  }
}
