import { z } from 'zod';

const text = z.string().default('');
const config = z.record(z.string(), z.string()).nullish();

/** `POST /1.0/storage-pools`. */
export const storagePoolsPost = z.object({
  /** Example: local */
  name: text,
  /** Example: btrfs */
  driver: text,
  description: text,
  config,
}).meta({ id: 'StoragePoolsPost' });
export type StoragePoolsPost = z.infer<typeof storagePoolsPost>;

/** `PUT` and `PATCH /1.0/storage-pools/{name}`. An absent description is empty in a PUT and left alone in a PATCH. */
export const storagePoolPut = z.object({ description: z.string().nullish(), config }).meta({ id: 'StoragePoolPut' });
export type StoragePoolPut = z.infer<typeof storagePoolPut>;

/** `GET /1.0/storage-pools/{name}`. */
export interface StoragePool {
  /** Example: local */
  readonly name: string;
  /** Example: btrfs */
  readonly driver: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  /** Created, Pending, Errored, Unavailable or Unknown. */
  readonly status: string;
  /** Members the pool is defined on; `none` on a standalone one. */
  readonly locations: string[];
  /** URLs of instances, images, volumes and profiles. Null when nothing uses the pool. */
  readonly used_by: string[] | null;
}

/** `GET /1.0/storage-pools/{name}/resources`. */
export interface ResourcesStoragePool {
  readonly space: { readonly used: number; readonly total: number };
  readonly inodes: { readonly used: number; readonly total: number };
}

/** What a new volume is made from. */
export const storageVolumeSource = z.looseObject({
  /** copy or migration; empty for an empty volume */
  type: z.string().optional(),
  /** Example: vol1, or vol1/snap0 for a snapshot */
  name: z.string().optional(),
  pool: z.string().optional(),
  /** Absent: the request's. */
  project: z.string().optional(),
  /** Cluster member that has the source. */
  location: z.string().optional(),
  /** pull or push, of a migration. */
  mode: z.string().optional(),
  /** The source's operation, to connect to. Example: https://10.0.0.1:8443/1.0/operations/7b9c... */
  operation: z.string().optional(),
  /** PEM of the source's certificate. */
  certificate: z.string().optional(),
  /** Of the operation's connections, by name. */
  secrets: z.record(z.string(), z.string()).nullish(),
  /** Without its snapshots. */
  volume_only: z.boolean().optional(),
  /** Bring a volume that is there up to date. */
  refresh: z.boolean().optional(),
}).meta({ id: 'StorageVolumeSource' });
export type StorageVolumeSource = z.infer<typeof storageVolumeSource>;

/** `POST /1.0/storage-pools/{name}/volumes` and below a type. */
export const storageVolumesPost = z.object({
  name: text,
  /** Example: custom */
  type: text,
  /** filesystem or block */
  content_type: text,
  description: text,
  config,
  /** Without a meaning here. */
  restore: z.string().nullish(),
  source: storageVolumeSource.nullish(),
}).meta({ id: 'StorageVolumesPost' });
export type StorageVolumesPost = z.infer<typeof storageVolumesPost>;

/** `PUT` and `PATCH /1.0/storage-pools/{name}/volumes/{type}/{volume}`. */
export const storageVolumePut = z.object({ description: z.string().nullish(), config, restore: z.string().nullish() }).meta({ id: 'StorageVolumePut' });
export type StorageVolumePut = z.infer<typeof storageVolumePut>;

/** `POST /1.0/storage-pools/{name}/volumes/{type}/{volume}`: rename, move to another pool or member. */
export const storageVolumePost = z.object({
  name: text, pool: text, project: text, migration: z.boolean().nullish(), volume_only: z.boolean().nullish(),
  /** Where to send it; absent: somebody will come for it. */
  target: z.object({ operation: z.string().optional(), certificate: z.string().optional(), secrets: z.record(z.string(), z.string()).nullish() }).meta({ title: 'StorageVolumePostTarget' }).nullish() }).meta({ id: 'StorageVolumePost' });
export type StorageVolumePost = z.infer<typeof storageVolumePost>;

/** `GET /1.0/storage-pools/{name}/volumes/{type}/{volume}`. */
export interface StorageVolume {
  readonly name: string;
  /** container, custom, image or virtual-machine */
  readonly type: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly used_by: string[];
  /** Member the volume lies on; `none` on a standalone one. */
  readonly location: string;
  /** filesystem or block */
  readonly content_type: string;
  readonly project: string;
  /** ISO time. */
  readonly created_at: string;
}

/** `POST .../snapshots`. */
export const storageVolumeSnapshotsPost = z.object({ name: text, expires_at: z.string().meta({ goType: 'time.Time' }).nullish() }).meta({ id: 'StorageVolumeSnapshotsPost' });
export type StorageVolumeSnapshotsPost = z.infer<typeof storageVolumeSnapshotsPost>;

/** `POST .../snapshots/{snapshot}`: another name. */
export const storageVolumeSnapshotPost = z.object({ name: text }).meta({ id: 'StorageVolumeSnapshotPost' });
export type StorageVolumeSnapshotPost = z.infer<typeof storageVolumeSnapshotPost>;

/** `PUT` and `PATCH .../snapshots/{snapshot}`. */
export const storageVolumeSnapshotPut = z.object({ description: z.string().nullish(), expires_at: z.string().meta({ goType: 'time.Time' }).nullish() }).meta({ id: 'StorageVolumeSnapshotPut' });
export type StorageVolumeSnapshotPut = z.infer<typeof storageVolumeSnapshotPut>;

/** `GET .../snapshots/{snapshot}`. */
export interface StorageVolumeSnapshot {
  /** Example: snap0; in a list `vol1/snap0` */
  readonly name: string;
  readonly description: string;
  /** ISO time; null in a list for one that is kept. */
  readonly expires_at: string | null;
  readonly config: Readonly<Record<string, string>>;
  readonly content_type: string;
  /** ISO time. */
  readonly created_at: string;
}

/** `GET .../state` of a volume; bytes. */
export interface StorageVolumeState {
  readonly usage: { readonly used: number; readonly total: number };
}

/** `GET .../backups/{backup}` of a volume; fields in LXD's order. */
export interface StoragePoolVolumeBackup {
  readonly name: string;
  /** RFC 3339. */
  readonly created_at: string;
  /** RFC 3339; the year 1 where it is kept. */
  readonly expires_at: string;
  readonly volume_only: boolean;
  readonly optimized_storage: boolean;
}

/** `POST .../backups` of a volume. */
export const storagePoolVolumeBackupsPost = z
  .object({
    /** Empty for `backup0` and so on. */
    name: z.string().optional(),
    /** RFC 3339; the year 1 or absent for never. */
    expires_at: z.string().nullish(),
    /** Without its snapshots. */
    volume_only: z.boolean().optional(),
    optimized_storage: z.boolean().optional(),
    /** `none`, or a program with its options; empty for `backups.compression_algorithm`. */
    compression_algorithm: z.string().optional(),
  })
  .meta({ id: 'StoragePoolVolumeBackupsPost', goType: 'shared.Jmap' });
export type StoragePoolVolumeBackupsPost = z.infer<typeof storagePoolVolumeBackupsPost>;

/** `POST .../backups/{backup}` of a volume: a rename. */
export const storagePoolVolumeBackupPost = z.object({ name: z.string().optional() }).meta({ id: 'StoragePoolVolumeBackupPost' });
export type StoragePoolVolumeBackupPost = z.infer<typeof storagePoolVolumeBackupPost>;
