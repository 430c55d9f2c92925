import { Injectable } from '@nestjs/common';
import type { Sql } from '#platform/database';
import { nicUses, NetworkUsage, type NetworkNic, type NetworkRef, type NetworkUser } from '#features/networks';
import { ProjectsService, ProjectUsage } from '#features/projects';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository } from './data/instance.repository.js';
import { instanceUrl } from './instance-urls.js';
import { nicLease } from './rules/nic-lease.rules.js';

/** Answers networks and projects who uses them, from rows as the asking transaction sees them. */
@Injectable()
export class InstanceUsage implements NetworkUser {
  constructor(
    private readonly repository: InstanceRepository,
    private readonly catalog: InstanceCatalog,
    private readonly projects: ProjectsService,
    private readonly networks: NetworkUsage,
    private readonly projectUsage: ProjectUsage,
  ) {}

  register(): void {
    this.networks.register(this);
    this.projectUsage.register('instances', (sql, project) => this.ofProject(sql, project));
  }

  /** URLs of a project's instances. */
  ofProject(sql: Sql, project: string): string[] {
    return this.repository.namesOfProject(sql, project).map((name) => instanceUrl({ project, name }));
  }

  usedBy(sql: Sql, network: NetworkRef): string[] {
    return this.nicsOn(sql, network).map(({ instance }) => instanceUrl(instance.row));
  }

  nics(sql: Sql, network: NetworkRef): NetworkNic[] {
    return this.nicsOn(sql, network).map(({ instance, device }) => {
      const config = instance.expandedDevices[device]!;
      const routes = ['ipv4.routes', 'ipv6.routes', 'ipv4.routes.external', 'ipv6.routes.external'].flatMap((key) => (config[key] ?? '').split(','));
      return { ...nicLease(instance.row, device, config, instance.expandedConfig), location: instance.row.location, routes: routes.map((one) => one.trim()).filter((one) => one !== '') };
    });
  }

  private nicsOn(sql: Sql, network: NetworkRef): { instance: ExpandedInstance; device: string }[] {
    return this.repository.listAll(sql).flatMap((row) => {
      if (this.projects.networkProject(row.project, sql) !== network.project) return [];
      const instance = this.catalog.expand(row, sql);
      return Object.entries(instance.expandedDevices).filter(([, device]) => nicUses(device, network.name)).map(([device]) => ({ instance, device }));
    });
  }
}
