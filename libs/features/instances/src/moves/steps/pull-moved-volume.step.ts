import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import type { MemberState } from '../../data/member-volatile.store.js';
import { VolumePull } from '../../transfers/volume-pull.service.js';
import { movedVolume, newPlace, type MoveInstanceParams } from '../move-operation.params.js';

/** Fetches the volume, snapshots included, from the member that has it, and what that member alone knows of it. */
@Injectable()
export class PullMovedVolumeStep extends Step<MoveInstanceParams, MemberState> {
  readonly name = 'pull-volume';

  constructor(
    private readonly pull: VolumePull,
    private readonly volumes: VolumesService,
    private readonly repository: InstanceRepository,
    private readonly self: LocalMember,
  ) {
    super();
  }

  override async run(context: StepContext, params: MoveInstanceParams): Promise<MemberState> {
    const { id, name, from, snapshots, size } = params;
    const offer = await this.pull.offer(from, id);
    // A volume an attempt before a crash has left may be older than what the instance has become since.
    await this.volumes.destroyInstanceVolume(movedVolume(params));
    await this.pull.pull({
      memberId: from, id, name, snapshot: '', snapshots, target: movedVolume(params), sizeBytes: this.volumes.sizeBytes(newPlace(params).pool, size), fence: context.operationId, refreshToken: '',
    }, offer, context);
    return offer.local;
  }

  override async undo(_context: StepContext, params: MoveInstanceParams): Promise<void> {
    if (this.repository.findById(params.id)?.memberId !== this.self.id) await this.volumes.destroyInstanceVolume(movedVolume(params));
  }
}
