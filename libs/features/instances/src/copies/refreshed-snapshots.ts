import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { SnapshotVolumes } from '#features/storage';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import type { NewSnapshot } from '../data/instance-snapshot.repository.js';
import { rootVolumeKey } from '../operations/instance-operation.params.js';
import { onPool } from './instance-copies.service.js';
import { asideName, type RefreshPlan } from './copy-operation.params.js';

/** Snapshots of a copy that is refreshed: those that go wait beside the others until the rows say that they have gone. */
@Injectable()
export class RefreshedSnapshots {
  constructor(private readonly volumes: SnapshotVolumes) {}

  async setAside(params: RefreshPlan, token: string): Promise<void> {
    const target = rootVolumeKey(params);
    for (const name of params.drop) await this.volumes.rename(target, name, asideName(token, name)).catch(unlessDone);
  }

  /** Content and snapshots are what they were. */
  async putBack(params: RefreshPlan, token: string): Promise<void> {
    const { bring, drop } = params;
    const target = rootVolumeKey(params);
    await this.volumes.undoRestore(target, token);
    for (const { name } of bring) if (!drop.includes(name)) await this.volumes.destroy(target, name);
    for (const name of drop) await this.bringBack(params, name, token);
  }

  private async bringBack(params: RefreshPlan, name: string, token: string): Promise<void> {
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
}

interface Taken {
  readonly name: string;
  readonly createdAt: string;
}

/**
 * Which snapshots a copy gets, and which go, when it becomes what its source is. `alone`: only its files change. `isSame`: one that was made again under the
 * same name is another one.
 */
export function planSnapshots(
  copy: ExpandedInstance, pool: string, snapshots: { readonly ours: readonly Taken[]; readonly theirs: readonly NewSnapshot[]; readonly alone: boolean }, isSame: (a: Taken, b: Taken) => boolean,
): Pick<RefreshPlan, 'bring' | 'drop'> {
  const { ours, theirs, alone } = snapshots;
  if (alone) return { bring: [], drop: [] };
  return {
    bring: theirs.filter((one) => !ours.some((other) => isSame(one, other))).map((one) => ({ ...one, devices: onPool(one.devices, copy, pool) })),
    drop: ours.filter((one) => !theirs.some((other) => isSame(one, other))).map(({ name }) => name),
  };
}

/** Set aside by an attempt before, or gone. */
function unlessDone(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
