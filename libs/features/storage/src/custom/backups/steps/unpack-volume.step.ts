import { Injectable } from '@nestjs/common';
import { AppError, wrap } from '#kernel';
import { VolumeArchives, type VolumeSpec, type VolumeUsage } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import type { ImportVolumeParams } from '../volume-backup.params.js';

/** Fills the reserved volume, and its snapshots, from the archive. */
@Injectable()
export class UnpackVolumeStep extends Step<ImportVolumeParams, void> {
  readonly name = 'unpack-backup';
  // What has the volume's name is whole; doing it again finds that, or begins anew.
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost, private readonly archives: VolumeArchives) {
    super();
  }

  override async run(context: StepContext, params: ImportVolumeParams): Promise<void> {
    const volume = this.host.spec(params);
    try {
      const { archive, snapshots, optimized, shifted, sizeBytes } = params;
      const quota = volume.block === true ? 0 : sizeBytes;
      const found = await this.find(volume);
      if (found === undefined) await this.archives.unpackBackup({ path: archive, volume, snapshots: snapshots.map(({ name }) => name), optimized, sizeBytes: quota, shifted }, context.signal);
      // A disk is at least as large as the volume says, whatever came for it.
      if (volume.block === true && ((found ?? await this.find(volume))?.totalBytes ?? 0) < sizeBytes) await this.host.driver.resizeVolume(volume, sizeBytes);
    } catch (error) {
      throw wrap(error, 'Create custom volume from backup');
    }
  }

  override async undo(_context: StepContext, params: ImportVolumeParams): Promise<void> {
    await this.host.destroy(params);
  }

  private async find(volume: VolumeSpec): Promise<VolumeUsage | undefined> {
    try {
      return await this.host.driver.describeVolume(volume);
    } catch (error) {
      if (AppError.is(error, 'not-found')) return undefined;
      throw error;
    }
  }
}
