import { Injectable } from '@nestjs/common';
import {
  ImageStore, StorageDriver,
  type CreateVolumeRequest, type ImageInspection, type PoolResources, type PoolSpec, type StorageCapabilities, type VolumeSpec, type VolumeUsage,
} from '#ports';
import { AgentChannel } from '#platform/rpc';

/** The storage port, carried out by the local agent. */
@Injectable()
export class RemoteStorageDriver extends StorageDriver {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async capabilities(): Promise<StorageCapabilities[]> {
    return (await this.call<{ drivers: StorageCapabilities[] }>('capabilities', {})).drivers;
  }

  override async createPool(pool: PoolSpec): Promise<PoolSpec> {
    return (await this.call<{ pool: PoolSpec }>('createPool', { pool })).pool;
  }

  override async destroyPool(pool: PoolSpec): Promise<void> { await this.call('destroyPool', { pool }); }
  override async ensurePoolMounted(pool: PoolSpec): Promise<void> { await this.call('ensurePoolMounted', { pool }); }
  override async unmountPool(pool: PoolSpec): Promise<void> { await this.call('unmountPool', { pool }); }
  override async updatePool(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void> { await this.call('updatePool', { pool, changed }); }
  override async describePool(pool: PoolSpec): Promise<PoolResources> { return this.call('describePool', { pool }); }
  override async createVolume(request: CreateVolumeRequest): Promise<void> { await this.call('createVolume', request); }
  override async destroyVolume(volume: VolumeSpec): Promise<void> { await this.call('destroyVolume', { volume }); }
  override async renameVolume(volume: VolumeSpec, newName: string): Promise<void> { await this.call('renameVolume', { volume, newName }); }
  override async resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void> { await this.call('resizeVolume', { volume, sizeBytes }); }
  override async describeVolume(volume: VolumeSpec): Promise<VolumeUsage> { return this.call('describeVolume', { volume }); }

  override async listVolumes(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]> {
    return (await this.call<{ volumes: VolumeSpec[] }>('listVolumes', { pool, kind })).volumes;
  }

  private call<Reply>(method: string, request: object): Promise<Reply> { return this.agent.call<Reply>('Storage', method, request); }
}

/** The image store port, carried out by the local agent. */
@Injectable()
export class RemoteImageStore extends ImageStore {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async inspectImage(metaPath: string, rootfsPath: string): Promise<ImageInspection> {
    return this.agent.call('Storage', 'inspectImage', { metaPath, rootfsPath });
  }

  override async adoptImage(fingerprint: string, metaPath: string, rootfsPath: string): Promise<void> {
    await this.agent.call('Storage', 'adoptImage', { fingerprint, metaPath, rootfsPath });
  }

  override async removeImage(fingerprint: string): Promise<void> { await this.agent.call('Storage', 'removeImage', { fingerprint }); }

  override async listImages(): Promise<string[]> {
    return (await this.agent.call<{ fingerprints: string[] }>('Storage', 'listImages', {})).fingerprints;
  }
}
