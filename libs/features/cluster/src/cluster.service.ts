import { Injectable } from '@nestjs/common';
import type { Cluster, ClusterMemberConfigKey, ClusterPut } from '#api-types';
import { invalid, LocalMember, type RequestContext } from '#kernel';
import { ClusterLog, Database } from '#platform/database';
import { emptyResponse, operationResponse, type ApiResponse } from '#platform/http';
import { ClusterEnabling } from './cluster-enabling.service.js';
import { Joining } from './join/joining.service.js';
import { LocalMembership } from './local-membership.service.js';

interface ConfigRow {
  readonly name: string;
  readonly config: string;
}

/** Keys and titles by entity, as LXD names them. */
const entities = {
  'storage-pool': { title: 'storage pool', keys: ['source', 'zfs.pool_name', 'lvm.thinpool_name', 'lvm.vg_name'] },
  network: { title: 'network', keys: ['bridge.external_interfaces', 'parent'] },
} as const;

/** `/1.0/cluster` itself: whether this server is part of one, and the ways in and out. */
@Injectable()
export class ClusterService {
  constructor(
    private readonly database: Database,
    private readonly local: LocalMember,
    private readonly enabling: ClusterEnabling,
    private readonly joining: Joining,
    private readonly membership: LocalMembership,
    private readonly log: ClusterLog,
  ) {}

  describe(): Cluster {
    const { clustered, name } = this.local;
    return { server_name: clustered ? name : '', enabled: clustered, member_config: this.memberConfig() };
  }

  async change(ctx: RequestContext, body: ClusterPut): Promise<ApiResponse> {
    if (!body.enabled) {
      if (body.server_name !== '') throw invalid('ServerName must be empty when disabling clustering');
      await this.disable(ctx);
      return emptyResponse();
    }
    if (body.server_name === '' && body.cluster_token === '') throw invalid('ServerName is required when enabling clustering');
    const joins = body.cluster_address !== '' || body.cluster_token !== '';
    return operationResponse(await (joins ? this.joining.join(ctx, body) : this.enabling.enable(ctx, body.server_name)));
  }

  /** This server alone: others see a member that is offline, and remove it. Nothing is lost to them by it, so its vote goes first. */
  private async disable(ctx: RequestContext): Promise<void> {
    if (!this.local.clustered) return;
    const others = this.database.read.get('SELECT 1 FROM nodes WHERE id <> ?', this.local.id) !== undefined;
    if (others && this.log.state().quorum === 'ok') await this.log.release(this.local.id);
    await this.membership.leave(ctx);
  }

  /** What a member that wants to join would have to say about each pool and network. */
  private memberConfig(): ClusterMemberConfigKey[] {
    const { read } = this.database;
    const pools = read.all<ConfigRow>(
      'SELECT p.name, n.config FROM storage_pools p JOIN storage_pools_nodes n ON n.storage_pool_id = p.id WHERE n.node_id = ? ORDER BY p.name', this.local.id);
    const networks = read.all<ConfigRow>(
      'SELECT w.name, n.config FROM networks w JOIN networks_nodes n ON n.network_id = w.id WHERE n.node_id = ? ORDER BY w.name', this.local.id);
    return [...pools.flatMap((row) => keysOf('storage-pool', row)), ...networks.flatMap((row) => keysOf('network', row))];
  }
}

function keysOf(entity: keyof typeof entities, { name, config }: ConfigRow): ClusterMemberConfigKey[] {
  const { title, keys } = entities[entity];
  const values = JSON.parse(config) as Record<string, string>;
  return keys.filter((key) => Object.hasOwn(values, key)).map((key) => ({ entity, name, key, value: '', description: `"${key}" property for ${title} "${name}"` }));
}
