import { Injectable } from '@nestjs/common';
import type { Project, ProjectPost, ProjectPut, ProjectsPost, ProjectState } from '#api-types';
import { parseByteSize, wrap, type RequestContext } from '#kernel';
import { mayAccessProject } from '#platform/auth';
import { Database } from '#platform/database';
import { apiUrl, createdResponse, emptyResponse, operationResponse, parseRecursion, syncResponse, type ApiResponse } from '#platform/http';
import { ProjectsRepository, type ProjectRow } from './data/projects.repository.js';
import { ProjectUsage } from './project-usage.registry.js';
import { projectEtag, ProjectsService, type ProjectUpdate } from './projects.service.js';

/** `/1.0/projects` as clients see it. */
@Injectable()
export class ProjectViews {
  constructor(
    private readonly projects: ProjectsService,
    private readonly repository: ProjectsRepository,
    private readonly usage: ProjectUsage,
    private readonly database: Database,
  ) {}

  list(ctx: RequestContext, recursion: string | undefined): string[] | Project[] {
    const rows = this.projects.list().filter((row) => mayAccessProject(ctx, row.name));
    return parseRecursion(recursion) === 0 ? rows.map((row) => apiUrl(['1.0', 'projects', row.name])) : rows.map((row) => this.view(row));
  }

  get(name: string): ApiResponse {
    const row = this.projects.get(name);
    return syncResponse(this.view(row), { etag: projectEtag(row) });
  }

  async create(ctx: RequestContext, body: ProjectsPost): Promise<ApiResponse> {
    return createdResponse(await this.projects.create(ctx, body));
  }

  async update(ctx: RequestContext, name: string, body: ProjectPut, update: ProjectUpdate): Promise<ApiResponse> {
    await this.projects.update(ctx, name, body, update);
    return emptyResponse();
  }

  async rename(ctx: RequestContext, name: string, body: ProjectPost): Promise<ApiResponse> {
    return operationResponse(await this.projects.rename(ctx, name, body.name ?? ''));
  }

  async remove(ctx: RequestContext, name: string): Promise<ApiResponse> {
    await this.projects.remove(ctx, name);
    return emptyResponse();
  }

  state(name: string): ProjectState {
    let row: ProjectRow;
    try {
      row = this.projects.get(name);
    } catch (error) {
      throw wrap(error, 'Fetch project database object');
    }
    const totals = this.repository.totals(this.database.read, row.id);
    const resource = (key: string, usage: number) => {
      const limit = row.config[`limits.${key}`] ?? '';
      return { Limit: limit === '' ? -1 : parseByteSize(limit), Usage: usage };
    };
    return {
      resources: {
        containers: resource('containers', totals.containers),
        cpu: resource('cpu', totals.cpu),
        disk: resource('disk', totals.disk),
        instances: resource('instances', totals.containers + totals.virtualMachines),
        memory: resource('memory', totals.memory),
        networks: resource('networks', totals.networks),
        processes: resource('processes', totals.processes),
        'virtual-machines': resource('virtual-machines', totals.virtualMachines),
      },
    };
  }

  private view(row: ProjectRow): Project {
    return { config: row.config, description: row.description, name: row.name, used_by: this.usage.usedBy(this.database.read, row.name) };
  }
}
