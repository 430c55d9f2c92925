import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';

/** A configuration key that differs from member to member, as a joining one is asked for it. */
export interface MemberConfigKey {
  readonly entity: string;
  readonly name: string;
  readonly key: string;
  readonly value: string;
  readonly description: string;
}

interface ConfigRow {
  readonly name: string;
  readonly config: string;
}

/** Keys and titles by entity, as LXD names them. */
const entities = {
  'storage-pool': { title: 'storage pool', keys: ['source', 'zfs.pool_name', 'lvm.thinpool_name', 'lvm.vg_name'] },
  network: { title: 'network', keys: ['bridge.external_interfaces', 'parent'] },
} as const;

@Injectable()
export class ClusterService {
  constructor(private readonly database: Database) {}

  /** What a member that wants to join would have to say about each pool and network. */
  memberConfig(): MemberConfigKey[] {
    const { read } = this.database;
    const pools = read.all<ConfigRow>(
      'SELECT p.name, n.config FROM storage_pools p JOIN storage_pools_nodes n ON n.storage_pool_id = p.id ORDER BY p.name');
    const networks = read.all<ConfigRow>(
      'SELECT w.name, n.config FROM networks w JOIN networks_nodes n ON n.network_id = w.id ORDER BY w.name');
    return [...pools.flatMap((row) => keysOf('storage-pool', row)), ...networks.flatMap((row) => keysOf('network', row))];
  }
}

function keysOf(entity: keyof typeof entities, { name, config }: ConfigRow): MemberConfigKey[] {
  const { title, keys } = entities[entity];
  const values = JSON.parse(config) as Record<string, string>;
  return keys.filter((key) => Object.hasOwn(values, key)).map((key) => ({ entity, name, key, value: '', description: `"${key}" property for ${title} "${name}"` }));
}
