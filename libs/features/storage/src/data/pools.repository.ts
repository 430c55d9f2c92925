import { Injectable } from '@nestjs/common';
import { notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import { splitConfig, type Config } from '../rules/pool-config.rules.js';

/** `Pending` while the host is being prepared or cleared: a daemon that finds it at its start undoes it. */
export type PoolState = 'Pending' | 'Created';

export interface PoolRow {
  readonly id: number;
  readonly name: string;
  readonly driver: string;
  readonly description: string;
  readonly state: PoolState;
  /** Common and this member's keys together. */
  readonly config: Config;
  readonly locations: string[];
}

interface RawPool {
  readonly id: number;
  readonly name: string;
  readonly driver: string;
  readonly description: string;
  readonly state: PoolState;
  readonly common: string;
  readonly member: string;
  readonly locations: string;
}

/** `nodes.id` of a member that stands alone. */
export const localMemberId = 1;

const select = `
SELECT p.id, p.name, p.driver, p.description, n.state, p.config AS common, n.config AS member,
  (SELECT json_group_array(m.name) FROM storage_pools_nodes a JOIN nodes m ON m.id = a.node_id WHERE a.storage_pool_id = p.id) AS locations
FROM storage_pools p JOIN storage_pools_nodes n ON n.storage_pool_id = p.id AND n.node_id = ${localMemberId}`;

function toRow(raw: RawPool): PoolRow {
  const { id, name, driver, description, state } = raw;
  const config = { ...JSON.parse(raw.common), ...JSON.parse(raw.member) } as Config;
  return { id, name, driver, description, state, config, locations: JSON.parse(raw.locations) as string[] };
}

@Injectable()
export class PoolsRepository {
  list(sql: Sql): PoolRow[] {
    return sql.all<RawPool>(`${select} ORDER BY p.name`).map(toRow);
  }

  find(sql: Sql, name: string): PoolRow | undefined {
    const raw = sql.get<RawPool>(`${select} WHERE p.name = ?`, name);
    return raw && toRow(raw);
  }

  get(sql: Sql, name: string): PoolRow {
    const row = this.find(sql, name);
    if (row === undefined) throw notFound('Storage pool not found');
    return row;
  }

  insertPending(tx: Tx, pool: { name: string; driver: string; description: string; config: Config }): void {
    const id = tx.nextId('storage_pools');
    const { common, member } = splitConfig(pool.config);
    tx.sql.run('INSERT INTO storage_pools (id, name, driver, description, state, config) VALUES (?, ?, ?, ?, ?, ?)',
      id, pool.name, pool.driver, pool.description, 'Pending', JSON.stringify(common));
    tx.sql.run('INSERT INTO storage_pools_nodes (storage_pool_id, node_id, state, config) VALUES (?, ?, ?, ?)',
      id, localMemberId, 'Pending', JSON.stringify(member));
  }

  setState(tx: Tx, id: number, state: PoolState): void {
    tx.sql.run('UPDATE storage_pools SET state = ? WHERE id = ?', state, id);
    tx.sql.run('UPDATE storage_pools_nodes SET state = ? WHERE storage_pool_id = ? AND node_id = ?', state, id, localMemberId);
  }

  update(tx: Tx, id: number, changes: { description: string; config: Config }): void {
    const { common, member } = splitConfig(changes.config);
    tx.sql.run('UPDATE storage_pools SET description = ?, config = ? WHERE id = ?', changes.description, JSON.stringify(common), id);
    tx.sql.run('UPDATE storage_pools_nodes SET config = ? WHERE storage_pool_id = ? AND node_id = ?', JSON.stringify(member), id, localMemberId);
  }

  delete(tx: Tx, name: string): void {
    tx.sql.run('DELETE FROM storage_pools WHERE name = ?', name);
  }
}
