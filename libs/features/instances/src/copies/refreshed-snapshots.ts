import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { SnapshotVolumes } from '#features/storage';
import { rootVolumeKey } from '../operations/instance-operation.params.js';
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

/** Set aside by an attempt before, or gone. */
function unlessDone(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
