import { Injectable, type OnModuleInit } from '@nestjs/common';
import { internalContext, Logger, parseByteSize, projectPrefixed, type RequestContext } from '#kernel';
import { StorageDriver, type PoolSpec, type VolumeSpec } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { imageProject, VolumesRepository, type VolumeKey, type VolumeRow } from './data/volumes.repository.js';
import { PoolsService } from './pools.service.js';
import type { Config } from './rules/pool-config.rules.js';

export interface InstanceVolumeKey {
  readonly pool: string;
  readonly project: string;
  /** Name of the instance. */
  readonly name: string;
  readonly type: 'container' | 'virtual-machine';
  /** The member it lies on, for rows written on behalf of another; this one unless given. Host work is for this one's only. */
  readonly memberId?: number;
}

export interface CreateInstanceVolume extends InstanceVolumeKey {
  /** Empty for an instance without an image. */
  readonly imageFingerprint: string;
  /** `size` of the root disk device; empty or absent for the pool's default. */
  readonly size?: string;
}

/**
 * Volumes for the features above: instances keep their files in them, images are unpacked into them.
 *
 * Rows of instance volumes are written in the caller's transactions (reserve, release, rename); the methods that reach the host are
 * for steps and may be repeated. A pool that clones gets one image volume per image: its row is written before the driver unpacks,
 * and taken back if that fails; what a crash leaves between the two is settled when the pool is mounted next.
 */
@Injectable()
export class VolumesService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly pools: PoolsService,
    private readonly driver: StorageDriver,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.pools.onMounted((pool) => this.settleImageVolumes(pool));
  }

  /** What the host calls the volume. `not-found` or `conflict` if the pool is gone or not ready. */
  volumeSpec(key: InstanceVolumeKey): VolumeSpec {
    return { pool: this.pools.spec(key.pool), kind: key.type, name: projectPrefixed(key.project, key.name) };
  }

  find(key: InstanceVolumeKey): VolumeRow | undefined {
    return this.volumes.find(this.database.read, key);
  }

  findIn(tx: Tx, key: InstanceVolumeKey): VolumeRow | undefined {
    return this.volumes.find(tx.sql, key);
  }

  /** Bytes for a root disk's `size`, or the pool's `volume.size`; 0 for no limit. */
  sizeBytes(pool: string, size: string | undefined): number {
    return parseByteSize(size || this.pools.spec(pool).config['volume.size'] || '');
  }

  /** Writes the row. Refuses a pool that is not ready and a name that is taken. */
  reserveInstanceVolume(tx: Tx, volume: InstanceVolumeKey & { readonly description?: string; readonly config?: Config }): void {
    this.pools.specIn(tx, volume.pool);
    this.volumes.insert(tx, keyOf(volume), volume);
  }

  /** Absent is success. */
  releaseInstanceVolume(tx: Tx, key: InstanceVolumeKey): void {
    this.volumes.delete(tx, keyOf(key));
  }

  renameInstanceVolume(tx: Tx, key: InstanceVolumeKey, newName: string): void {
    this.volumes.rename(tx, keyOf(key), newName);
  }

  setInstanceVolumeConfig(tx: Tx, key: InstanceVolumeKey, config: Config): void {
    const row = this.volumes.get(tx.sql, keyOf(key));
    this.volumes.update(tx, row.id, { description: row.description, config });
  }

  /** Fills the reserved volume on the host, from an image or empty. */
  async createInstanceVolume(ctx: RequestContext, request: CreateInstanceVolume): Promise<void> {
    const volume = this.volumeSpec(request);
    const { imageFingerprint } = request;
    const create = (): Promise<void> => this.driver.createVolume({ volume, imageFingerprint, sizeBytes: this.sizeBytes(request.pool, request.size) });
    if (imageFingerprint === '' || !(await this.clones(volume.pool))) return create();
    await this.withImageRow(ctx, volume.pool, imageFingerprint, create);
  }

  async destroyInstanceVolume(key: InstanceVolumeKey): Promise<void> {
    await this.driver.destroyVolume(this.volumeSpec(key));
  }

  async renameOnHost(key: InstanceVolumeKey, newName: string): Promise<void> {
    await this.driver.renameVolume(this.volumeSpec(key), projectPrefixed(key.project, newName));
  }

  /** Within its pool, to another project or name. */
  async moveOnHost(from: InstanceVolumeKey, to: Pick<InstanceVolumeKey, 'project' | 'name'>): Promise<void> {
    await this.driver.renameVolume(this.volumeSpec(from), projectPrefixed(to.project, to.name));
  }

  async resizeInstanceVolume(key: InstanceVolumeKey, size: string | undefined): Promise<void> {
    await this.driver.resizeVolume(this.volumeSpec(key), this.sizeBytes(key.pool, size));
  }

  /** Unpacks an image into a pool ahead of its use. Does nothing in a pool that unpacks into each volume. */
  async ensureImageVolume(ctx: RequestContext, pool: string, fingerprint: string): Promise<void> {
    const spec = this.pools.spec(pool);
    if (!(await this.clones(spec))) return;
    await this.withImageRow(ctx, spec, fingerprint, () => this.driver.createVolume({ volume: imageVolume(spec, fingerprint), imageFingerprint: fingerprint, sizeBytes: 0 }));
  }

  /** Names of pools that hold the image unpacked, here. */
  poolsWithImage(fingerprint: string): string[] {
    return this.volumes.poolsWithImage(this.database.read, fingerprint);
  }

  /** Before an image is deleted: removes its unpacked copies in all pools here, host first, so that it may be repeated. */
  async removeImageVolumes(ctx: RequestContext, fingerprint: string): Promise<void> {
    for (const pool of this.poolsWithImage(fingerprint)) {
      await this.driver.destroyVolume(imageVolume(this.pools.spec(pool), fingerprint));
      await this.runner.run(ctx, (tx) => this.volumes.delete(tx, imageKey(pool, fingerprint)));
    }
  }

  private async clones(pool: PoolSpec): Promise<boolean> {
    return (await this.pools.capabilitiesOf(pool.driver))?.optimizedImages === true;
  }

  /** The row is written once per pool and image, so making further instances costs no write here. */
  private async withImageRow(ctx: RequestContext, pool: PoolSpec, fingerprint: string, work: () => Promise<void>): Promise<void> {
    const key = imageKey(pool.name, fingerprint);
    const known = this.volumes.find(this.database.read, key) !== undefined;
    if (!known) {
      await this.runner.run(ctx, (tx) => {
        if (this.volumes.find(tx.sql, key) === undefined) this.volumes.insert(tx, key);
      });
    }
    try {
      await work();
    } catch (error) {
      if (!known) await this.forgetIfAbsent(pool, key);
      throw error;
    }
  }

  private async forgetIfAbsent(pool: PoolSpec, key: VolumeKey): Promise<void> {
    const there = await this.driver.listVolumes(pool, 'image').catch(() => undefined);
    if (there === undefined || there.some(({ name }) => name === key.name)) return;
    await this.runner.run(internalContext(), (tx) => this.volumes.delete(tx, key));
  }

  /** Rows and unpacked images of a pool agree again: rows without a volume go, and so do copies of images that are no more. */
  private async settleImageVolumes(pool: PoolSpec): Promise<void> {
    const there = new Set((await this.driver.listVolumes(pool, 'image')).map(({ name }) => name));
    const recorded = new Set(this.volumes.imagesInPool(this.database.read, pool.name));
    const lost = [...recorded].filter((name) => !there.has(name));
    const unrecorded = [...there].filter((name) => !recorded.has(name));
    const adopted = unrecorded.filter((name) => this.volumes.imageExists(this.database.read, name));
    if (lost.length + adopted.length > 0) {
      await this.runner.run(internalContext(), (tx) => {
        for (const name of lost) this.volumes.delete(tx, imageKey(pool.name, name));
        for (const name of adopted) if (this.volumes.find(tx.sql, imageKey(pool.name, name)) === undefined) this.volumes.insert(tx, imageKey(pool.name, name));
      });
    }
    for (const name of unrecorded.filter((one) => !adopted.includes(one))) {
      this.logger.info('Removing the unpacked copy of an image that is no more', { pool: pool.name, image: name });
      await this.driver.destroyVolume(imageVolume(pool, name));
    }
  }
}

function keyOf({ pool, project, name, type, memberId }: InstanceVolumeKey): VolumeKey {
  return { pool, project, name, type, memberId };
}

function imageKey(pool: string, fingerprint: string): VolumeKey {
  return { pool, project: imageProject, type: 'image', name: fingerprint };
}

function imageVolume(pool: PoolSpec, fingerprint: string): VolumeSpec {
  return { pool, kind: 'image', name: fingerprint };
}
