import { z } from 'zod';

/** Configuration keys and values as on the wire: text to text. */
const textMap = z.record(z.string(), z.string());
/** Devices by name, each a map of text to text. */
const deviceMap = z.record(z.string(), textMap);

export type ConfigMap = Record<string, string>;
export type DeviceMap = Record<string, ConfigMap>;

/** `container` or `virtual-machine`. */
export type InstanceType = 'container' | 'virtual-machine';

/** Where a new instance's content comes from. Unused fields are empty. */
export const instanceSource = z
  .object({
    /** `image`, `none`, `copy`, `migration`. */
    type: z.string().optional(),
    /** Used when no alias or fingerprint is given. Example: `{"os": "debian"}` */
    properties: textMap.nullish(),
    alias: z.string().optional(),
    fingerprint: z.string().optional(),
    secret: z.string().optional(),
    /** Remote server to take the image from; empty for this one. Example: https://images.example.net:8443 */
    server: z.string().optional(),
    /** `lxd` or `simplestreams`. */
    protocol: z.string().optional(),
    /** PEM of the remote server's certificate where no public authority signed it. */
    certificate: z.string().optional(),
    mode: z.string().optional(),
    /** Name of the instance to copy. */
    source: z.string().optional(),
    project: z.string().optional(),
    live: z.boolean().optional(),
    instance_only: z.boolean().optional(),
    container_only: z.boolean().optional(),
    refresh: z.boolean().optional(),
    allow_inconsistent: z.boolean().optional(),
    operation: z.string().optional(),
    secrets: textMap.nullish(),
    'base-image': z.string().optional(),
  })
  .meta({ id: 'InstanceSource' });
export type InstanceSource = z.infer<typeof instanceSource>;

/** Body of `POST /1.0/instances`. */
export const instancesPost = z
  .object({
    /** Empty: one is made up. Example: c1 */
    name: z.string().optional(),
    /** Example: x86_64; empty for the image's or the host's. */
    architecture: z.string().optional(),
    config: textMap.nullish(),
    devices: deviceMap.nullish(),
    ephemeral: z.boolean().optional(),
    /** Absent or null: `default`. */
    profiles: z.array(z.string()).nullish(),
    restore: z.string().optional(),
    stateful: z.boolean().optional(),
    description: z.string().optional(),
    source: instanceSource.nullish(),
    /** Size of a cloud instance to imitate. Example: t1.micro */
    instance_type: z.string().optional(),
    type: z.string().meta({ goType: 'api.InstanceType' }).optional(),
    /** Started once it is made. */
    start: z.boolean().optional(),
  })
  .meta({ id: 'InstancesPost' });
export type InstancesPost = z.infer<typeof instancesPost>;

/** Body of `PUT` and `PATCH /1.0/instances/{name}`. */
export const instancePut = z
  .object({
    architecture: z.string().optional(),
    config: textMap.nullish(),
    devices: deviceMap.nullish(),
    ephemeral: z.boolean().optional(),
    profiles: z.array(z.string()).nullish(),
    /** Name of a snapshot to restore. */
    restore: z.string().optional(),
    stateful: z.boolean().optional(),
    description: z.string().optional(),
  })
  .meta({ id: 'InstancePut' });
/** Of `PATCH`, where only what is there is changed. */
export const instancePatch = instancePut.meta({ title: 'InstancePut', goType: 'shared.Jmap' });
export type InstancePut = z.infer<typeof instancePut>;

/** Body of `POST /1.0/instances/{name}`: a rename, or a move. */
export const instancePost = z
  .object({
    name: z.string().optional(),
    migration: z.boolean().optional(),
    live: z.boolean().optional(),
    instance_only: z.boolean().optional(),
    container_only: z.boolean().optional(),
    allow_inconsistent: z.boolean().optional(),
    target: z.looseObject({}).meta({ title: 'InstancePostTarget' }).nullish(),
    pool: z.string().optional(),
    project: z.string().optional(),
  })
  .meta({ id: 'InstancePost', goType: 'shared.Jmap' });
export type InstancePost = z.infer<typeof instancePost>;

/** Body of `POST /1.0/instances/{name}/rebuild`. */
export const instanceRebuildPost = z
  .object({
    /** Of type `image` or `none`; an image that is not named is the one the instance was made from. */
    source: instanceSource.nullish(),
  })
  .meta({ id: 'InstanceRebuildPost' });
export type InstanceRebuildPost = z.infer<typeof instanceRebuildPost>;

/** Body of `POST /1.0/instances/{name}/snapshots`. */
export const instanceSnapshotsPost = z
  .object({
    /** Empty for the next by `snapshots.pattern`. */
    name: z.string().optional(),
    stateful: z.boolean().optional(),
    /** RFC 3339; the year 1 for never, absent for `snapshots.expiry`. */
    expires_at: z.string().meta({ goType: 'time.Time' }).nullish(),
  })
  .meta({ id: 'InstanceSnapshotsPost' });
export type InstanceSnapshotsPost = z.infer<typeof instanceSnapshotsPost>;

/** Body of `PUT` and `PATCH /1.0/instances/{name}/snapshots/{snapshot}`. */
export const instanceSnapshotPut = z.object({ expires_at: z.string().meta({ goType: 'time.Time' }).nullish() }).meta({ id: 'InstanceSnapshotPut', goType: 'shared.Jmap' });
export type InstanceSnapshotPut = z.infer<typeof instanceSnapshotPut>;

/** Body of `POST /1.0/instances/{name}/snapshots/{snapshot}`: a rename. */
export const instanceSnapshotPost = z
  .object({ name: z.string().optional(), migration: z.boolean().optional(), live: z.boolean().optional(), target: z.looseObject({}).nullish() })
  .meta({ id: 'InstanceSnapshotPost', goType: 'shared.Jmap' });
export type InstanceSnapshotPost = z.infer<typeof instanceSnapshotPost>;

/** A backup of an instance; fields in LXD's order. */
export interface InstanceBackup {
  readonly name: string;
  /** RFC 3339. */
  readonly created_at: string;
  /** RFC 3339; the year 1 where it is kept. */
  readonly expires_at: string;
  readonly instance_only: boolean;
  /** The same by its former name. */
  readonly container_only: boolean;
  readonly optimized_storage: boolean;
}

/** Body of `POST /1.0/instances/{name}/backups`. */
export const instanceBackupsPost = z
  .object({
    /** Empty for `backup0` and so on. */
    name: z.string().optional(),
    /** RFC 3339; the year 1 or absent for never. */
    expires_at: z.string().meta({ goType: 'time.Time' }).nullish(),
    instance_only: z.boolean().optional(),
    container_only: z.boolean().optional(),
    optimized_storage: z.boolean().optional(),
    /** `none`, or a program with its options; empty for `backups.compression_algorithm`. */
    compression_algorithm: z.string().optional(),
  })
  .meta({ id: 'InstanceBackupsPost', goType: 'shared.Jmap' });
export type InstanceBackupsPost = z.infer<typeof instanceBackupsPost>;

/** Body of `POST /1.0/instances/{name}/backups/{backup}`: a rename. */
export const instanceBackupPost = z.object({ name: z.string().optional() }).meta({ id: 'InstanceBackupPost' });
export type InstanceBackupPost = z.infer<typeof instanceBackupPost>;

/** Body of `PUT /1.0/instances/{name}/state`. */
export const instanceStatePut = z
  .object({
    /** `start`, `stop`, `restart`, `freeze`, `unfreeze`. */
    action: z.string().optional(),
    /** Seconds to wait for a clean stop; 0 and below wait for ever. */
    timeout: z.number().int().optional(),
    force: z.boolean().optional(),
    stateful: z.boolean().optional(),
  })
  .meta({ id: 'InstanceStatePut' });
export type InstanceStatePut = z.infer<typeof instanceStatePut>;

/** Body of `PUT /1.0/instances`: the same change for all instances of a project. */
export const instancesPut = z.object({ state: instanceStatePut.nullish() }).meta({ id: 'InstancesPut' });
export type InstancesPut = z.infer<typeof instancesPut>;

/** Body of `POST /1.0/instances/{name}/exec`. */
export const instanceExecPost = z
  .object({
    /** Example: ["bash"] */
    command: z.array(z.string()).nullish(),
    'wait-for-websocket': z.boolean().optional(),
    interactive: z.boolean().optional(),
    environment: textMap.nullish(),
    /** Columns of the terminal. */
    width: z.number().int().optional(),
    /** Rows of the terminal. */
    height: z.number().int().optional(),
    'record-output': z.boolean().optional(),
    user: z.number().int().meta({ goType: 'uint32' }).optional(),
    group: z.number().int().meta({ goType: 'uint32' }).optional(),
    cwd: z.string().optional(),
  })
  .meta({ id: 'InstanceExecPost' });
export type InstanceExecPost = z.infer<typeof instanceExecPost>;

/** A message on the control channel of an exec. */
export const instanceExecControl = z.object({
  /** `window-resize` or `signal`. */
  command: z.string(),
  args: textMap.nullish(),
  /** Signal number, for `signal`. */
  signal: z.number().int().optional(),
});

/** Body of `POST /1.0/instances/{name}/console`. */
export const instanceConsolePost = z
  .object({ width: z.number().int().optional(), height: z.number().int().optional(), type: z.string().optional(), force: z.boolean().optional() })
  .meta({ id: 'InstanceConsolePost' });
export type InstanceConsolePost = z.infer<typeof instanceConsolePost>;

/** Status words of instances and their codes. */
export const instanceStatusCodes = { Stopped: 102, Running: 103, Frozen: 110, Error: 112 } as const;

/** An instance as lists and `GET /1.0/instances/{name}` show it; fields in LXD's order. */
export interface Instance {
  readonly architecture: string;
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
  readonly ephemeral: boolean;
  readonly profiles: readonly string[];
  readonly stateful: boolean;
  readonly description: string;
  /** RFC 3339. */
  readonly created_at: string;
  /** Profiles applied. */
  readonly expanded_config: Readonly<ConfigMap>;
  readonly expanded_devices: Readonly<DeviceMap>;
  readonly name: string;
  /** Example: Running */
  readonly status: string;
  readonly status_code: number;
  /** RFC 3339; 1970 where it never ran. */
  readonly last_used_at: string;
  /** Member it is on, `none` on a standalone one. */
  readonly location: string;
  readonly type: InstanceType;
  readonly project: string;
}

/** An instance with all that hangs on it (`recursion=2`). */
export interface InstanceFull extends Instance {
  readonly backups: readonly InstanceBackup[] | null;
  /** Null where its member does not answer. */
  readonly state: InstanceState | null;
  readonly snapshots: readonly InstanceSnapshot[] | null;
}

/** A snapshot of an instance; fields in LXD's order. */
export interface InstanceSnapshot {
  /** RFC 3339; the year 1 where it is kept. */
  readonly expires_at: string;
  readonly architecture: string;
  readonly config: Readonly<ConfigMap>;
  readonly created_at: string;
  readonly devices: Readonly<DeviceMap>;
  readonly ephemeral: boolean;
  readonly expanded_config: Readonly<ConfigMap>;
  readonly expanded_devices: Readonly<DeviceMap>;
  readonly last_used_at: string;
  readonly name: string;
  readonly profiles: readonly string[];
  readonly stateful: boolean;
  /** Bytes it holds by itself; -1 where that cannot be told. */
  readonly size: number;
}

export interface InstanceStateAddress {
  readonly family: string;
  readonly address: string;
  readonly netmask: string;
  readonly scope: string;
}

export interface InstanceStateNetwork {
  readonly addresses: readonly InstanceStateAddress[];
  readonly counters: Readonly<Record<string, number>>;
  readonly hwaddr: string;
  readonly host_name: string;
  readonly mtu: number;
  readonly state: string;
  readonly type: string;
}

/** `GET /1.0/instances/{name}/state`. Bytes, and nanoseconds of CPU time. */
export interface InstanceState {
  readonly status: string;
  readonly status_code: number;
  readonly disk: Readonly<Record<string, { readonly usage: number }>>;
  readonly memory: { readonly usage: number; readonly usage_peak: number; readonly swap_usage: number; readonly swap_usage_peak: number };
  readonly network: Readonly<Record<string, InstanceStateNetwork>> | null;
  readonly pid: number;
  readonly processes: number;
  readonly cpu: { readonly usage: number };
}
