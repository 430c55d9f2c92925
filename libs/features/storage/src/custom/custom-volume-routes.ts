import { Injectable } from '@nestjs/common';
import { LocalMember, unavailable } from '#kernel';
import { Peers } from '#ports';
import { Database } from '#platform/database';
import { RequestRouter, type RoutedRequest } from '#platform/http';
import { ClusterPools } from '../cluster-pools.service.js';
import { VolumesRepository } from '../data/volumes.repository.js';
import { VolumeRequests } from '../volume-requests.service.js';

/**
 * A custom volume lies on one member: who changes it, or wants its files, is sent there, and a new one is made on the member `target` names. What
 * rows say of it is shown by any.
 */
@Injectable()
export class CustomVolumeRoutes {
  constructor(
    private readonly router: RequestRouter,
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly requests: VolumeRequests,
    private readonly pools: ClusterPools,
    private readonly peers: Peers,
    private readonly member: LocalMember,
  ) {}

  register(): void {
    for (const collection of ['/1.0/storage-pools/:pool/volumes', '/1.0/storage-pools/:pool/volumes/custom']) {
      this.router.register(collection, ({ method, query }) => (method === 'POST' ? this.elsewhere(this.pools.memberNamed(query['target'] ?? '')?.id) : null));
    }
    this.router.register('/1.0/storage-pools/:pool/volumes/custom/:name', (request) => this.memberOf(request), { below: true });
  }

  private memberOf({ method, path, params, query, project }: RoutedRequest): number | null {
    const file = path.endsWith('/export') || path.endsWith('/files');
    if (method === 'GET' && !file) return null;
    const row = this.volumes.locate(this.database.read, this.requests.key(params['pool'] ?? '', 'custom', project, params['name'] ?? '', query['target'] ?? ''));
    return this.elsewhere(row?.memberId, row?.location);
  }

  private elsewhere(memberId: number | undefined, location = ''): number | null {
    if (memberId === undefined || memberId === this.member.id) return null;
    if (!this.peers.isOnline(memberId)) throw unavailable(`Missing event connection with target cluster member${location === '' ? '' : `: "${location}" is offline`}`);
    return memberId;
  }
}
