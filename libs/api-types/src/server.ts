import { z } from 'zod';

/** Version of LXD whose API this server speaks; clients act on it. */
export const serverVersion = '5.0.2';

/** Body of `PUT` and `PATCH /1.0`. Values are text; numbers and booleans are refused key by key, `core.trust_password: true` is kept. */
export const serverPut = z.object({ config: z.record(z.string(), z.unknown()).optional() }).meta({ id: 'ServerPut' });
export type ServerPut = z.infer<typeof serverPut>;

/** A storage driver this member can use. The capitals are LXD's. */
export interface StorageDriverInfo {
  /** Example: btrfs */
  readonly Name: string;
  /** Example: 6.2 */
  readonly Version: string;
  readonly Remote: boolean;
}

/** `environment` of `GET /1.0`. */
export interface ServerEnvironment {
  /** Example: ["10.0.0.1:8443"] */
  readonly addresses: readonly string[];
  readonly architectures: readonly string[];
  /** PEM */
  readonly certificate: string;
  readonly certificate_fingerprint: string;
  /** Example: lxc */
  readonly driver: string;
  /** Example: 5.0.2 */
  readonly driver_version: string;
  /** Example: nftables */
  readonly firewall: string;
  readonly kernel: string;
  readonly kernel_architecture: string;
  readonly kernel_features: Readonly<Record<string, string>>;
  readonly kernel_version: string;
  readonly lxc_features: Readonly<Record<string, string>>;
  readonly os_name: string;
  readonly os_version: string;
  readonly project: string;
  readonly server: string;
  readonly server_clustered: boolean;
  readonly server_event_mode: string;
  readonly server_name: string;
  readonly server_pid: number;
  readonly server_version: string;
  /** Names of the storage drivers in use, joined by ` | `. Example: dir | btrfs */
  readonly storage: string;
  readonly storage_version: string;
  readonly storage_supported_drivers: readonly StorageDriverInfo[];
}

/** `GET /1.0` for the untrusted. */
export interface ServerUntrusted {
  readonly api_extensions: readonly string[];
  readonly api_status: string;
  readonly api_version: string;
  readonly auth: 'trusted' | 'untrusted';
  readonly public: boolean;
  readonly auth_methods: readonly string[];
}

/** `GET /1.0` for the trusted. */
export interface Server extends ServerUntrusted {
  /** `core.trust_password` shows as `true`. */
  readonly config: Readonly<Record<string, string | boolean>>;
  readonly environment: ServerEnvironment;
}
