import { Injectable, type OnModuleInit } from '@nestjs/common';
import { wrap } from '#kernel';
import { apiUrl } from '#platform/http';
import { ProjectsService, ProjectUsage } from '#features/projects';
import { NetworksRepository } from './data/networks.repository.js';

/** Projects as networks see them. */
@Injectable()
export class NetworkProjects implements OnModuleInit {
  constructor(private readonly projects: ProjectsService, private readonly usage: ProjectUsage, private readonly networks: NetworksRepository) {}

  onModuleInit(): void {
    this.usage.register('networks', (sql, project) => this.networks.listByProject(sql, project).map(({ name }) => apiUrl(['1.0', 'networks', name], project)));
  }

  /** The project whose networks count in this one: itself or `default`. `not-found` with LXD's wording for networks. */
  owner(project: string): string {
    try {
      return this.projects.networkProject(project);
    } catch (error) {
      throw wrap(error, `Failed to load project "${project}"`);
    }
  }
}
