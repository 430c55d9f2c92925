import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { conflict, invalid, notFound, parseByteSize, type StateDirectory } from '#kernel';
import { imageFormatOf, readTarMember } from '#host';
import {
  ImageStore, StorageDriver,
  type CreateVolumeRequest, type ImageInspection, type PoolResources, type PoolSpec, type StorageCapabilities, type VolumeSpec, type VolumeUsage,
} from '#ports';
import { FakeFaults } from './fake-faults.js';

/** What the fake knows of a volume; `content` stands for its files. */
export interface FakeVolume {
  readonly kind: VolumeSpec['kind'];
  name: string;
  readonly block: boolean;
  imageFingerprint: string;
  sizeBytes: number;
  content: string;
  /** Content of each snapshot, oldest first. */
  snapshots: Map<string, string>;
  /** What unsettled restores keep, by token. */
  formers: Map<string, string>;
}

interface FakePool {
  spec: PoolSpec;
  mounted: boolean;
  readonly volumes: Map<string, FakeVolume>;
}

const poolBytes = 30 * 2 ** 30;
const volumeBytes = 16384;

/** Pools and volumes in memory. `btrfs` clones unpacked images and has quotas, `dir` does neither, as the real ones. */
export class FakeStorageDriver extends StorageDriver {
  readonly pools = new Map<string, FakePool>();
  /** Fingerprints volumes may be made from; `FakeImageStore` and tests add to it. */
  readonly images: Set<string>;
  /** Directories a `source` may name; anything else does not exist. */
  readonly directories = new Set<string>();

  constructor(private readonly faults: FakeFaults = new FakeFaults(), private readonly options: { root?: string; imageStore?: FakeImageStore } = {}) {
    super();
    this.images = options.imageStore?.fingerprints ?? new Set();
  }

  override async capabilities(): Promise<StorageCapabilities[]> {
    await this.faults.enter('storage.capabilities');
    return [
      { driver: 'dir', version: '1', remote: false, quota: false, optimizedImages: false, freezeToCopy: true, ownBackups: false },
      { driver: 'btrfs', version: '6.2', remote: false, quota: true, optimizedImages: true, freezeToCopy: false, ownBackups: true },
    ];
  }

  override async createPool(pool: PoolSpec): Promise<PoolSpec> {
    await this.faults.enter('storage.createPool');
    if (!['dir', 'btrfs'].includes(pool.driver)) throw invalid('Unknown driver');
    const known = this.pools.get(pool.name);
    if (known) return known.spec;
    const root = this.options.root ?? '/var/lib/roost';
    const own = pool.driver === 'btrfs' ? `${root}/disks/${pool.name}.img` : `${root}/storage-pools/${pool.name}`;
    const source = pool.config['source'] || own;
    if (source !== own && !this.directories.has(source)) throw invalid(`Source path '${source}' doesn't exist`);
    if (source !== own && [...this.pools.values()].some((other) => other.spec.config['source'] === source)) throw invalid(`Source path '${source}' isn't empty`);
    const size: Record<string, string> = pool.driver === 'btrfs' && source === own ? { size: pool.config['size'] || '30GiB' } : {};
    const spec = { ...pool, config: { ...pool.config, ...size, source } };
    this.pools.set(pool.name, { spec, mounted: true, volumes: new Map() });
    return spec;
  }

  override async destroyPool(pool: PoolSpec): Promise<void> {
    await this.faults.enter('storage.destroyPool');
    this.pools.delete(pool.name);
  }

  override async ensurePoolMounted(pool: PoolSpec): Promise<void> {
    await this.faults.enter('storage.ensurePoolMounted');
    this.pool(pool.name).mounted = true;
  }

  override async unmountPool(pool: PoolSpec): Promise<void> {
    await this.faults.enter('storage.unmountPool');
    const known = this.pools.get(pool.name);
    if (known) known.mounted = false;
  }

  override async updatePool(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void> {
    await this.faults.enter('storage.updatePool');
    const known = this.pool(pool.name);
    const size = changed['size'];
    if (size && parseByteSize(size) < parseByteSize(known.spec.config['size'] ?? '')) throw invalid('Pool cannot be shrunk');
    known.spec = { ...known.spec, config: { ...known.spec.config, ...changed } };
  }

  override async describePool(pool: PoolSpec): Promise<PoolResources> {
    await this.faults.enter('storage.describePool');
    const known = this.pool(pool.name);
    const totalBytes = parseByteSize(known.spec.config['size'] ?? '') || poolBytes;
    return { usedBytes: known.volumes.size * volumeBytes, totalBytes, usedInodes: 0, totalInodes: 0 };
  }

  override async createVolume(request: CreateVolumeRequest): Promise<void> {
    await this.faults.enter('storage.createVolume');
    const { volume, imageFingerprint, sizeBytes } = request;
    if (volume.kind === 'virtual-machine') throw invalid('Virtual machines are not supported on this host');
    const pool = this.pool(volume.pool.name);
    const fingerprint = volume.kind === 'image' ? volume.name : imageFingerprint;
    if (fingerprint !== '') this.unpack(pool, fingerprint);
    if (pool.volumes.has(keyOf(volume))) return;
    pool.volumes.set(keyOf(volume), { ...emptyVolume(volume), imageFingerprint, sizeBytes });
  }

  override async destroyVolume(volume: VolumeSpec): Promise<void> {
    await this.faults.enter('storage.destroyVolume');
    this.pool(volume.pool.name).volumes.delete(keyOf(volume));
  }

  override async renameVolume(volume: VolumeSpec, newName: string): Promise<void> {
    await this.faults.enter('storage.renameVolume');
    const { volumes } = this.pool(volume.pool.name);
    const target = keyOf({ ...volume, name: newName });
    const found = volumes.get(keyOf(volume));
    if (!found) {
      if (volumes.has(target)) return;
      throw notFound(`Volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    }
    if (volumes.has(target)) throw conflict(`Volume "${newName}" exists already in pool "${volume.pool.name}"`);
    volumes.delete(keyOf(volume));
    volumes.set(target, { ...found, name: newName });
  }

  override async resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void> {
    await this.faults.enter('storage.resizeVolume');
    const found = this.volume(volume);
    if (volume.block === true && sizeBytes < found.sizeBytes) throw invalid('Block volumes cannot be shrunk: Cannot be shrunk');
    found.sizeBytes = sizeBytes;
  }

  override async describeVolume(volume: VolumeSpec): Promise<VolumeUsage> {
    await this.faults.enter('storage.describeVolume');
    const found = this.volume(volume);
    const pool = this.pool(volume.pool.name);
    return pool.spec.driver === 'dir' ? { usedBytes: -1, totalBytes: 0 } : { usedBytes: volumeBytes, totalBytes: found.sizeBytes };
  }

  override async listVolumes(pool: PoolSpec, only?: VolumeSpec['kind']): Promise<VolumeSpec[]> {
    await this.faults.enter('storage.listVolumes');
    return [...this.pool(pool.name).volumes.values()].filter(({ kind }) => only === undefined || kind === only).map(({ kind, name, block }) => ({ pool, kind, name, ...(block ? { block } : {}) }));
  }

  /** A volume with this content, unless it is there. */
  adopt(volume: VolumeSpec, { content, snapshots, sizeBytes }: Pick<FakeVolume, 'content' | 'snapshots' | 'sizeBytes'>): void {
    const pool = this.pool(volume.pool.name);
    if (pool.volumes.has(keyOf(volume))) return;
    pool.volumes.set(keyOf(volume), { ...emptyVolume(volume), content, snapshots, sizeBytes });
  }

  /** What is there gets other content, and snapshots it lacked. */
  refresh(volume: VolumeSpec, { content, snapshots }: { readonly content: string; readonly snapshots: readonly (readonly [string, string])[] }, token: string): void {
    const found = this.volume(volume);
    for (const [name, kept] of snapshots) if (!found.snapshots.has(name)) found.snapshots.set(name, kept);
    const former = found.formers.get(token) ?? found.content;
    found.formers.clear();
    found.formers.set(token, former);
    found.content = content;
  }

  private unpack(pool: FakePool, fingerprint: string): void {
    const key = `image/${fingerprint}`;
    if (pool.volumes.has(key)) return;
    if (!this.images.has(fingerprint)) throw notFound(`Image "${fingerprint}" is not stored on this host`);
    if (pool.spec.driver === 'btrfs') pool.volumes.set(key, { ...emptyVolume({ kind: 'image', name: fingerprint }), imageFingerprint: fingerprint });
  }

  private pool(name: string): FakePool {
    const pool = this.pools.get(name);
    if (!pool) throw notFound(`Storage pool "${name}" does not exist on this host`);
    return pool;
  }

  /** @throws `not-found` */
  volume(volume: VolumeSpec): FakeVolume {
    const found = this.pool(volume.pool.name).volumes.get(keyOf(volume));
    if (!found) throw notFound(`Volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    return found;
  }
}

function emptyVolume({ kind, name, block = false }: Pick<VolumeSpec, 'kind' | 'name' | 'block'>): FakeVolume {
  return { kind, name, block, imageFingerprint: '', sizeBytes: 0, content: '', snapshots: new Map(), formers: new Map() };
}

function keyOf(volume: Pick<VolumeSpec, 'kind' | 'name'>): string {
  return `${volume.kind}/${volume.name}`;
}

/**
 * The image store in memory: remembers fingerprints. With a state directory it moves the files too, so that the daemon can send them
 * out; it looks into plain, gzip and zstd archives itself, other files need `inspections`.
 */
export class FakeImageStore extends ImageStore {
  readonly fingerprints = new Set<string>();
  /** Answers for files that are not really there, by path of the metadata. */
  readonly inspections = new Map<string, ImageInspection>();

  constructor(private readonly faults: FakeFaults = new FakeFaults(), private readonly state?: StateDirectory) {
    super();
  }

  override async inspectImage(metaPath: string, rootfsPath: string): Promise<ImageInspection> {
    await this.faults.enter('images.inspectImage');
    const prepared = this.inspections.get(metaPath);
    if (prepared) return prepared;
    const archive = decompress(await readFile(metaPath));
    const metadata = readTarMember(archive, 'metadata.yaml');
    if (metadata === undefined) throw invalid('Metadata tarball is missing metadata.yaml');
    const disk = rootfsPath !== '' && imageFormatOf(await readFile(rootfsPath)) === 'qcow2';
    return { metadataYaml: metadata.toString('utf8'), type: disk ? 'virtual-machine' : 'container' };
  }

  override async adoptImage(fingerprint: string, metaPath: string, rootfsPath: string): Promise<void> {
    await this.faults.enter('images.adoptImage');
    if (this.state && !this.inspections.has(metaPath)) {
      await mkdir(this.state.images, { recursive: true });
      if (rootfsPath !== '') await move(rootfsPath, `${this.state.images}/${fingerprint}.rootfs`);
      await move(metaPath, `${this.state.images}/${fingerprint}`);
    }
    this.fingerprints.add(fingerprint);
  }

  override async removeImage(fingerprint: string): Promise<void> {
    await this.faults.enter('images.removeImage');
    this.fingerprints.delete(fingerprint);
    if (!this.state) return;
    await rm(`${this.state.images}/${fingerprint}`, { force: true });
    await rm(`${this.state.images}/${fingerprint}.rootfs`, { force: true });
  }

  override async listImages(): Promise<string[]> {
    await this.faults.enter('images.listImages');
    return [...this.fingerprints];
  }
}

function decompress(file: Buffer): Buffer {
  const format = imageFormatOf(file);
  if (format === 'tar') return file;
  if (format === 'tar.gz') return gunzipSync(file);
  if (format === 'tar.zst') return zstdDecompressSync(file);
  throw invalid('Unsupported compression');
}

/** Done before is done. */
async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
}
