import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { sorted } from '../../rules/expand.rules.js';
import { VolumePull } from '../../transfers/volume-pull.service.js';
import type { CopyInstanceParams } from '../copy-operation.params.js';
import { FrozenSource } from '../frozen-source.js';

const idmapKey = 'volatile.last_state.idmap';

/** Fills the reserved root volume, and its snapshots, from the source: on this host by the driver, from another member as a stream. */
@Injectable()
export class CopyRootVolumeStep extends Step<CopyInstanceParams, void> {
  readonly name = 'copy-root-volume';
  // What has the volume's name is whole; doing it again finds that, or begins anew.
  override readonly saveOutput = false;

  constructor(
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
    private readonly pull: VolumePull,
    private readonly frozen: FrozenSource,
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly self: LocalMember,
  ) {
    super();
  }

  override async run(context: StepContext, params: CopyInstanceParams): Promise<void> {
    const { source } = params;
    const idmap = source.memberId === this.self.id ? await this.copyHere(params) : await this.fetch(context, params);
    if (idmap === '' || idmap === '[]') return;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      if (row !== undefined && row.config[idmapKey] !== idmap) this.repository.update(tx, row.id, { ...row, config: sorted({ ...row.config, [idmapKey]: idmap }) });
    });
  }

  override async undo(_context: StepContext, params: CopyInstanceParams): Promise<void> {
    await this.frozen.release(params.source);
    await this.volumes.destroyInstanceVolume(rootVolumeKey(params));
  }

  private async copyHere(params: CopyInstanceParams): Promise<string> {
    const { source } = params;
    await this.frozen.during(source, () =>
      this.snapshots.copy({ from: source.volume, snapshot: source.snapshot, to: rootVolumeKey(params), snapshots: source.snapshots, sizeBytes: this.sizeBytes(params) }));
    return source.idmap;
  }

  private async fetch(context: StepContext, params: CopyInstanceParams): Promise<string> {
    const { memberId, id, volume, snapshot, snapshots, idmap } = params.source;
    const offer = await this.pull.offer(memberId, id);
    await this.pull.pull({ memberId, id, name: volume.name, snapshot, snapshots, target: rootVolumeKey(params), sizeBytes: this.sizeBytes(params), fence: null, refreshToken: '', running: params.source }, offer, context);
    return snapshot === '' ? offer.local.volatile[idmapKey] ?? idmap : idmap;
  }

  private sizeBytes({ pool, size }: CopyInstanceParams): number {
    return this.volumes.sizeBytes(pool, size);
  }
}
