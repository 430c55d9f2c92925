import { Injectable } from '@nestjs/common';
import { wrap } from '#kernel';
import { VolumeArchives } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import type { ImportInstanceParams } from '../import-operation.params.js';

/** Fills the reserved root volume, and its snapshots, from the archive. */
@Injectable()
export class UnpackBackupStep extends Step<ImportInstanceParams, void> {
  readonly name = 'unpack-backup';
  // What has the volume's name is whole; doing it again finds that, or begins anew.
  override readonly saveOutput = false;

  constructor(
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
    private readonly archives: VolumeArchives,
  ) {
    super();
  }

  override async run(context: StepContext, params: ImportInstanceParams): Promise<void> {
    const key = rootVolumeKey(params);
    try {
      if (await this.snapshots.isThere(key)) return;
      const { archive, snapshots, optimized, pool, size } = params;
      await this.archives.unpackBackup({ path: archive, volume: this.volumes.volumeSpec(key), snapshots, optimized, sizeBytes: this.volumes.sizeBytes(pool, size) }, context.signal);
    } catch (error) {
      throw wrap(error, 'Create instance from backup');
    }
  }

  override async undo(_context: StepContext, params: ImportInstanceParams): Promise<void> {
    await this.volumes.destroyInstanceVolume(rootVolumeKey(params));
  }
}
