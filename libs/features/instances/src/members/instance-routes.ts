import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import { Peers } from '#ports';
import { RequestRouter, type RoutedRequest } from '#platform/http';
import { InstanceCatalog } from '../data/instance.catalog.js';

/**
 * Requests about an instance are answered by its member, whichever was asked. What rows say of one whose member is offline is shown by any; everything
 * else about it is refused at once instead of after a time-out.
 */
@Injectable()
export class InstanceRoutes {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly peers: Peers,
    private readonly router: RequestRouter,
  ) {}

  register(): void {
    for (const collection of ['instances', 'containers', 'virtual-machines']) {
      this.router.register(`/1.0/${collection}/:name`, (request) => this.memberOf(request), { below: true });
    }
  }

  private memberOf({ method, path, params, project }: RoutedRequest): number | null {
    const instance = this.catalog.find(project, params['name'] ?? '');
    if (instance === undefined || this.catalog.isLocal(instance)) return null;
    const { memberId, location } = instance.row;
    if (this.peers.isOnline(memberId)) return memberId;
    if (method === 'GET' && path.split('/').length === 4) return null;
    throw unavailable(`Missing event connection with target cluster member: "${location}" is offline`);
  }
}
