/** A pool as a driver needs to know it: complete in itself, nothing is looked up. Paths follow from `name`. */
export interface PoolSpec {
  readonly name: string;
  readonly driver: string;
  /** Final configuration: `source`, `size`, driver keys, `volatile.*`; strings as on the wire. */
  readonly config: Readonly<Record<string, string>>;
}

export type VolumeKind = 'container' | 'virtual-machine' | 'image' | 'custom';

/**
 * One volume. `name` is the name on disk: `c1`, `web_c1` outside the default project, the fingerprint for an image; a custom volume's always begins
 * with its project. It is mounted at `storage-pools/<pool>/<kind>s/<name>` below the state directory, custom ones at `custom/<name>`.
 */
export interface VolumeSpec {
  readonly pool: PoolSpec;
  readonly kind: VolumeKind;
  readonly name: string;
  /** A disk for a virtual machine in one file, `root.img`, instead of files. */
  readonly block?: boolean;
}

export interface CreateVolumeRequest {
  readonly volume: VolumeSpec;
  /** Fingerprint of an image whose files are in the image store; empty for an empty volume (of an instance: with an empty `rootfs/`). */
  readonly imageFingerprint: string;
  /** Quota in bytes, 0 for none. Size of a block volume. */
  readonly sizeBytes: number;
}

export interface PoolResources {
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly usedInodes: number;
  readonly totalInodes: number;
}

export interface VolumeUsage {
  /** Bytes used, or -1 where the driver cannot tell cheaply. */
  readonly usedBytes: number;
  /** Quota in bytes, 0 for none. */
  readonly totalBytes: number;
}

export interface StorageCapabilities {
  readonly driver: string;
  /** Version of the tools, as `environment.storage_supported_drivers` shows it. */
  readonly version: string;
  readonly remote: boolean;
  /** Whether a quota is enforced. */
  readonly quota: boolean;
  /** Whether an image is unpacked once per pool and cloned, or unpacked into each volume. */
  readonly optimizedImages: boolean;
  /** A copy is made file by file: what runs on the volume is frozen meanwhile, so that nothing changes under it. */
  readonly freezeToCopy: boolean;
  /** Backups may hold the driver's own streams instead of files. */
  readonly ownBackups: boolean;
}

/**
 * Storage on this host. One implementation per driver behind one that routes by `pool.driver`.
 *
 * `ensureX` and `createX` are safe to repeat after a crash at any point (a half-made volume is removed first);
 * `destroyX` of something absent succeeds. Errors: `invalid` for a source or size that cannot be used, `not-found`, `conflict`
 * when a path belongs to somebody else, `internal` with the tool's stderr.
 */
export abstract class StorageDriver {
  /** Drivers that work on this host (kernel and tools present). */
  abstract capabilities(): Promise<StorageCapabilities[]>;
  /** Makes the pool's backing store and returns the final configuration (chosen `source`, `size`, `volatile.initial_source`). */
  abstract createPool(pool: PoolSpec): Promise<PoolSpec>;
  abstract destroyPool(pool: PoolSpec): Promise<void>;
  /** Mounts the pool if it is not, makes its directories; called at start-up and before use. */
  abstract ensurePoolMounted(pool: PoolSpec): Promise<void>;
  abstract unmountPool(pool: PoolSpec): Promise<void>;
  /** Applies changed configuration of an existing pool (a loop file grown, mount options). */
  abstract updatePool(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void>;
  abstract describePool(pool: PoolSpec): Promise<PoolResources>;
  abstract createVolume(request: CreateVolumeRequest): Promise<void>;
  /** With its snapshots. */
  abstract destroyVolume(volume: VolumeSpec): Promise<void>;
  /** With its snapshots. */
  abstract renameVolume(volume: VolumeSpec, newName: string): Promise<void>;
  /** A block volume can only grow: `invalid`. */
  abstract resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void>;
  abstract describeVolume(volume: VolumeSpec): Promise<VolumeUsage>;
  /** What really lies in the pool, or what of one kind does; for reconcilers. */
  abstract listVolumes(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]>;
}

export interface ImageInspection {
  /** `metadata.yaml` of the image as text. */
  readonly metadataYaml: string;
  /** `container` or `virtual-machine` (a split image whose root is a disk image). */
  readonly type: 'container' | 'virtual-machine';
}

/** Image files of this member below `images/`: `FINGERPRINT` and, for a split image, `FINGERPRINT.rootfs`. */
export abstract class ImageStore {
  /** Looks into uploaded files without unpacking them. `rootfsPath` is empty for a unified image. `invalid` if it is no image. */
  abstract inspectImage(metaPath: string, rootfsPath: string): Promise<ImageInspection>;
  /** Moves uploaded files into the store under their fingerprint; repeating it after success is harmless. */
  abstract adoptImage(fingerprint: string, metaPath: string, rootfsPath: string): Promise<void>;
  abstract removeImage(fingerprint: string): Promise<void>;
  abstract listImages(): Promise<string[]>;
}
