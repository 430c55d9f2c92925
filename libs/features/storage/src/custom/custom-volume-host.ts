import { Injectable } from '@nestjs/common';
import { AppError, parseByteSize } from '#kernel';
import { StorageDriver, type VolumeSpec } from '#ports';
import { PoolsService } from '../pools.service.js';
import type { ContentType } from '../data/volumes.repository.js';
import type { VolumeParams } from './volume-operation.params.js';

/** Size of a disk nobody gave one, as in LXD. */
const defaultBlockBytes = 10 * 2 ** 30;

/** Custom volumes on this host: what drivers know them by. */
@Injectable()
export class CustomVolumeHost {
  constructor(
    private readonly pools: PoolsService,
    readonly driver: StorageDriver,
  ) {}

  spec({ pool, project, name, contentType }: Pick<VolumeParams, 'pool' | 'project' | 'name' | 'contentType'>): VolumeSpec {
    return { pool: this.pools.spec(pool), kind: 'custom', name: diskName(project, name), ...(contentType === 'block' ? { block: true } : {}) };
  }

  async destroy(volume: Pick<VolumeParams, 'pool' | 'project' | 'name' | 'contentType'>): Promise<void> {
    let spec: VolumeSpec;
    try {
      spec = this.spec(volume);
    } catch (error) {
      // The pool is gone, and took what lay in it along.
      if (AppError.is(error, 'not-found')) return;
      throw error;
    }
    await this.driver.destroyVolume(spec);
  }
}

/** A custom volume's name in its pool: always with its project, unlike an instance's. */
export function diskName(project: string, name: string): string {
  return `${project}_${name}`;
}

/** Bytes for the host: the quota of a file system (0: none), the size of a disk. */
export function volumeBytes(contentType: ContentType, size: string | undefined): number {
  const bytes = parseByteSize(size ?? '');
  return contentType === 'block' && bytes === 0 ? defaultBlockBytes : bytes;
}
