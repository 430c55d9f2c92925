import { Injectable } from '@nestjs/common';
import { AppError, LocalMember } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import { VolumePull } from '../../transfers/volume-pull.service.js';
import { asideName, type RefreshInstanceParams } from '../copy-operation.params.js';
import { FrozenSource } from '../frozen-source.js';

const idmapKey = 'volatile.last_state.idmap';

/** Sets snapshots aside that go, brings those that come, and replaces the content. Output: how ids lie in the files now. */
@Injectable()
export class RefreshVolumeStep extends Step<RefreshInstanceParams, string> {
  readonly name = 'refresh-volume';

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly pull: VolumePull,
    private readonly frozen: FrozenSource,
    private readonly self: LocalMember,
  ) {
    super();
  }

  override async run(context: StepContext, params: RefreshInstanceParams): Promise<string> {
    const { source, bring, drop } = params;
    const token = restoreToken(context.operationId);
    const target = rootVolumeKey(params);
    for (const name of drop) await this.volumes.rename(target, name, asideName(token, name)).catch(unlessDone);
    const snapshots = bring.map(({ name }) => name);
    if (source.memberId !== this.self.id) return this.fetch(context, params, token, snapshots);
    await this.frozen.during(source, () => this.volumes.refresh({ from: source.volume, snapshot: source.snapshot, to: target, snapshots }, token));
    return source.idmap;
  }

  override async undo(context: StepContext, params: RefreshInstanceParams): Promise<void> {
    const { source, bring, drop } = params;
    const token = restoreToken(context.operationId);
    const target = rootVolumeKey(params);
    await this.frozen.release(source);
    await this.volumes.undoRestore(target, token);
    for (const { name } of bring) if (!drop.includes(name)) await this.volumes.destroy(target, name);
    for (const name of drop) await this.bringBack(params, name, token);
  }

  private async bringBack(params: RefreshInstanceParams, name: string, token: string): Promise<void> {
    const target = rootVolumeKey(params);
    try {
      await this.volumes.rename(target, asideName(token, name), name);
    } catch (error) {
      if (!AppError.is(error, 'conflict')) return unlessDone(error);
      // The one that waits is the copy's; the other was brought.
      await this.volumes.destroy(target, name);
      await this.volumes.rename(target, asideName(token, name), name);
    }
  }

  private async fetch(context: StepContext, params: RefreshInstanceParams, refreshToken: string, snapshots: readonly string[]): Promise<string> {
    const { memberId, id, volume, snapshot, idmap } = params.source;
    const offer = await this.pull.offer(memberId, id);
    await this.pull.pull({ memberId, id, name: volume.name, snapshot, snapshots, target: rootVolumeKey(params), sizeBytes: 0, fence: null, refreshToken }, offer, context);
    return snapshot === '' ? offer.local.volatile[idmapKey] ?? idmap : idmap;
  }
}

/** Set aside by an attempt before, or gone. */
function unlessDone(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
