import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import { VolumePull } from '../../transfers/volume-pull.service.js';
import type { RefreshInstanceParams } from '../copy-operation.params.js';
import { FrozenSource } from '../frozen-source.js';
import { RefreshedSnapshots } from '../refreshed-snapshots.js';

const idmapKey = 'volatile.last_state.idmap';

/** Sets snapshots aside that go, brings those that come, and replaces the content. Output: how ids lie in the files now. */
@Injectable()
export class RefreshVolumeStep extends Step<RefreshInstanceParams, string> {
  readonly name = 'refresh-volume';

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly aside: RefreshedSnapshots,
    private readonly pull: VolumePull,
    private readonly frozen: FrozenSource,
    private readonly self: LocalMember,
  ) {
    super();
  }

  override async run(context: StepContext, params: RefreshInstanceParams): Promise<string> {
    const { source, bring } = params;
    const token = restoreToken(context.operationId);
    const target = rootVolumeKey(params);
    await this.aside.setAside(params, token);
    const snapshots = bring.map(({ name }) => name);
    if (source.memberId !== this.self.id) return this.fetch(context, params, token, snapshots);
    await this.frozen.during(source, () => this.volumes.refresh({ from: source.volume, snapshot: source.snapshot, to: target, snapshots }, token));
    return source.idmap;
  }

  override async undo(context: StepContext, params: RefreshInstanceParams): Promise<void> {
    await this.frozen.release(params.source);
    await this.aside.putBack(params, restoreToken(context.operationId));
  }

  private async fetch(context: StepContext, params: RefreshInstanceParams, refreshToken: string, snapshots: readonly string[]): Promise<string> {
    const { memberId, id, volume, snapshot, idmap } = params.source;
    const offer = await this.pull.offer(memberId, id, rootVolumeKey(params));
    await this.pull.pull({ memberId, id, name: volume.name, snapshot, snapshots, target: rootVolumeKey(params), sizeBytes: 0, fence: null, refreshToken, running: params.source }, offer, context);
    return snapshot === '' ? offer.local.volatile[idmapKey] ?? idmap : idmap;
  }
}
