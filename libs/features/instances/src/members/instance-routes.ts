import { Injectable } from '@nestjs/common';
import { forbidden, LocalMember, notFound, unavailable } from '#kernel';
import { Peers } from '#ports';
import { RequestRouter, type RoutedRequest } from '#platform/http';
import { ClusterMembers } from '#features/cluster';
import { isArchive } from '#features/storage';
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
    private readonly members: ClusterMembers,
    private readonly self: LocalMember,
  ) {}

  register(): void {
    for (const collection of ['instances', 'containers', 'virtual-machines']) {
      this.router.register(`/1.0/${collection}`, (request) => this.memberToImport(request));
      this.router.register(`/1.0/${collection}/:name`, (request) => this.memberOf(request), { below: true });
    }
  }

  /** An archive goes straight to the member it is for; whoever passes it on keeps nothing of it. */
  private memberToImport({ method, contentType, query }: RoutedRequest): number | null {
    const target = query['target'] ?? '';
    if (method !== 'POST' || target === '' || !isArchive(contentType) || !this.self.clustered) return null;
    const member = this.members.candidates().find(({ name }) => name === target);
    if (member === undefined) throw notFound('Cluster member not found');
    if (member.state === 'evacuated') throw forbidden('Cluster member is evacuated');
    return member.id === this.self.id ? null : member.id;
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
