import { Injectable } from '@nestjs/common';
import type { ConfigMap, InstanceSource } from '#api-types';
import type { DeviceNetwork } from '#config-schema';
import { AppError, internal, withProject, type RequestContext } from '#kernel';
import { HostInfo, type DeviceSpec, type HostDescription, type NicNetwork } from '#ports';
import { Database, type Sql, type Tx } from '#platform/database';
import { ImagesService, type ImageRow } from '#features/images';
import { NetworksService } from '#features/networks';
import { ProjectLimits, ProjectsService, restrictedParentOf } from '#features/projects';
import type { ExpandedInstance } from './data/instance.catalog.js';
import { nicLease } from './rules/nic-lease.rules.js';

/** Where the progress of a download goes and what ends it. */
export interface FetchWatch {
  readonly signal: AbortSignal;
  progress(metadata: Record<string, unknown>): void;
}

/**
 * All that instances ask of other features, in one place: projects and profiles by name, the networks behind NICs, images. Pools and
 * volumes have a service made for instances and are asked directly.
 */
@Injectable()
export class InstanceNeighbors {
  private description: Promise<HostDescription> | undefined;

  constructor(
    private readonly database: Database,
    private readonly projects: ProjectsService,
    private readonly networks: NetworksService,
    private readonly images: ImagesService,
    private readonly host: HostInfo,
    readonly limits: ProjectLimits,
  ) {}

  /** Asked once; the facts used here do not change while the daemon runs. */
  hostDescription(): Promise<HostDescription> {
    this.description ??= this.host.describeHost().catch((error: unknown) => {
      this.description = undefined;
      throw error;
    });
    return this.description;
  }

  /** Id of a project. @throws `not-found` in the words of projects. */
  projectId(name: string, sql: Sql = this.database.read): number {
    return this.projects.get(name, sql).id;
  }

  /** Ids of profiles in the order named, as the project sees them; `missing` makes the error for an unknown one. */
  profileIds(project: string, names: readonly string[], missing: (name: string) => Error, sql: Sql = this.database.read): number[] {
    if (new Set(names).size !== names.length) throw internal('Duplicate profile found in request');
    const rows = sql.all<{ id: number; name: string }>(
      `SELECT f.id, f.name FROM profiles f JOIN projects p ON p.id = f.project_id
       WHERE p.name = ? AND f.name IN (SELECT value FROM json_each(?))`, this.projects.profileProject(project, sql), JSON.stringify(names));
    const ids = new Map(rows.map((row) => [row.name, row.id]));
    return names.map((name) => {
      const id = ids.get(name);
      if (id === undefined) throw missing(name);
      return id;
    });
  }

  /** The project whose networks count in this one. */
  networkProject(project: string): string {
    return this.projects.networkProject(project);
  }

  networkLookup(sql: Sql, project: string): (name: string) => DeviceNetwork | undefined {
    return (name) => {
      try {
        return this.networks.get(project, name, sql);
      } catch (error) {
        if (AppError.is(error, 'not-found')) return undefined;
        throw error;
      }
    };
  }

  nicNetwork(project: string, device: string, config: Readonly<ConfigMap>): NicNetwork {
    return this.networks.nicNetwork(project, config, device);
  }

  /** What the host must know of a device: where its project lets a disk come from too. */
  hostDevice(project: string, name: string, config: Readonly<ConfigMap>): DeviceSpec {
    const restrictedParent = config.type === 'disk' && !config.pool ? restrictedParentOf(this.projects.get(project).config, config) : '';
    return { name, config: this.hostConfig(project, config), ...(restrictedParent === '' ? {} : { restrictedParent }) };
  }

  /** A device's configuration as the host needs it: a NIC knows by its network what kind it is and what it hangs on. */
  hostConfig(project: string, config: Readonly<ConfigMap>): Readonly<ConfigMap> {
    return config.type === 'nic' ? this.networks.nicConfig(project, config) : config;
  }

  /** Tells DHCP and DNS of the instance's NICs on managed networks, and forgets those it had before and has no more. */
  async ensureLeases(instance: ExpandedInstance, before?: ExpandedInstance): Promise<void> {
    const now = this.leases(instance);
    const former = before === undefined ? [] : this.leases(before);
    for (const { network, lease } of former) {
      if (!now.some((other) => other.network === network && other.lease.device === lease.device)) {
        await this.networks.setStaticLease(network, { ...lease, hwaddr: '' });
      }
    }
    for (const { network, lease } of now) {
      const same = former.some((other) => other.network === network && JSON.stringify(other.lease) === JSON.stringify(lease));
      if (!same) await this.networks.setStaticLease(network, lease);
    }
  }

  async removeLeases(instance: ExpandedInstance): Promise<void> {
    for (const { network, lease } of this.leases(instance)) await this.networks.setStaticLease(network, { ...lease, hwaddr: '' });
  }

  /** The image a request names, which is on this member. Status codes are LXD's, which differ by how it was named. */
  localImage(ctx: RequestContext, project: string, source: InstanceSource): ImageRow | null {
    const { alias, fingerprint, properties } = source;
    if (alias) return this.images.resolve(ctx, project, { alias });
    if (fingerprint) return this.orNull(() => this.images.resolve(ctx, project, { fingerprint }));
    if (!properties || Object.keys(properties).length === 0) throw internal('Must specify one of alias, fingerprint or properties for init from image');
    const image = this.orNull(() => this.images.resolve(ctx, project, { properties }));
    if (image === null) throw internal('No matching image could be found');
    return image;
  }

  /** Brings an image from another server, unless it is here. */
  fetchImage(ctx: RequestContext, project: string, type: string, source: InstanceSource, watch: FetchWatch): Promise<ImageRow> {
    return this.images.ensureFromRemote(withProject(ctx, project), {
      server: source.server ?? '', protocol: source.protocol ?? '', alias: source.alias ?? '', fingerprint: source.fingerprint ?? '',
      certificate: source.certificate ?? '', secret: source.secret ?? '', image_type: type,
    }, watch);
  }

  /** The files of an image that is known are on this member. */
  ensureImageFiles(ctx: RequestContext, fingerprint: string): Promise<void> {
    return this.images.ensureLocalFiles(ctx, fingerprint);
  }

  /** The image was used for an instance. */
  touchImage(tx: Tx, imageId: number): void {
    this.images.touch(tx, imageId);
  }

  private orNull(find: () => ImageRow): ImageRow | null {
    try {
      return find();
    } catch (error) {
      if (AppError.is(error, 'not-found')) return null;
      throw error;
    }
  }

  private leases({ row, expandedDevices, expandedConfig }: ExpandedInstance) {
    return Object.entries(expandedDevices).flatMap(([device, config]) => {
      if (config.type !== 'nic') return [];
      const { network } = this.findNetwork(row.project, device, config);
      return network === '' ? [] : [{ network, lease: nicLease(row, device, config, expandedConfig) }];
    });
  }

  /** A network that is gone has no leases to look after. */
  private findNetwork(project: string, device: string, config: Readonly<ConfigMap>): { network: string } {
    try {
      return this.nicNetwork(project, device, config);
    } catch (error) {
      if (AppError.is(error, 'not-found')) return { network: '' };
      throw error;
    }
  }
}
