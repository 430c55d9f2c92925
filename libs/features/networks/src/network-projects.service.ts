import { Injectable, type OnModuleInit } from '@nestjs/common';
import { internal, notFound, wrap } from '#kernel';
import { apiUrl } from '#platform/http';
import { ProjectLimits, ProjectsService, ProjectUsage } from '#features/projects';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworksRepository } from './data/networks.repository.js';

/** Projects as networks see them. */
@Injectable()
export class NetworkProjects implements OnModuleInit {
  constructor(
    private readonly projects: ProjectsService, private readonly limits: ProjectLimits, private readonly usage: ProjectUsage, private readonly networks: NetworksRepository,
    private readonly acls: NetworkAclsRepository,
  ) {}

  onModuleInit(): void {
    this.usage.register('network-acls', (sql, project) => this.acls.list(sql, project).map(({ name }) => apiUrl(['1.0', 'network-acls', name], project)));
    this.usage.register('networks', (sql, project) => this.networks.listByProject(sql, project).map(({ name }) => apiUrl(['1.0', 'networks', name], project)));
  }

  /** Whether the project's restrictions let it see the network, or the host's interface. */
  allows(project: string, network: string, managed = true): boolean {
    return this.limits.allowsNetwork(project, network, managed);
  }

  /** What may not be seen is not there. @throws `not-found` in LXD's words. */
  assertAllowed(project: string, network: string, managed = true): void {
    if (!this.allows(project, network, managed)) throw notFound('Network not found');
  }

  /** The project whose networks count in this one: itself or `default`. `not-found` with LXD's wording for networks. */
  owner(project: string): string {
    try {
      return this.projects.networkProject(project);
    } catch (error) {
      throw wrap(error, `Failed to load project "${project}"`);
    }
  }

  /** `limits.networks` of a project that has networks of its own; LXD lets those of `default` be. @throws in LXD's words. */
  refuseBeyondLimit(project: string, present: number): void {
    const limit = this.projects.get(project).config['limits.networks'] ?? '';
    if (project !== 'default' && limit !== '' && present >= Number(limit)) throw internal('Networks limit has been reached for project');
  }
}
