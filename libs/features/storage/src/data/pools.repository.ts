import { Injectable } from '@nestjs/common';
import { LocalMember, notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import { splitConfig, type Config } from '../rules/pool-config.rules.js';

/** `Pending` until it is made on all members, `Errored` while it may be there on some of them only. */
export type PoolState = 'Pending' | 'Created' | 'Errored';

/**
 * A member's part of a pool. `Creating` and `Deleting` from before that member's host is touched until its work is done: a daemon that finds
 * one of them at its start clears the host. Clients see both as `Pending`.
 */
export type PartState = 'Pending' | 'Creating' | 'Created' | 'Deleting';

export interface PoolRow {
  readonly id: number;
  readonly name: string;
  readonly driver: string;
  readonly description: string;
  readonly state: PoolState;
  /** Null where the member has no part. */
  readonly part: PartState | null;
  /** What all members have in common. */
  readonly common: Config;
  /** Common and the member's keys together. */
  readonly config: Config;
  /** Names of the members that have a part. */
  readonly locations: string[];
}

export interface PoolPart {
  readonly memberId: number;
  readonly state: PartState;
}

interface RawPool extends Omit<PoolRow, 'common' | 'config' | 'locations'> {
  readonly common: string;
  readonly member: string | null;
  readonly locations: string;
}

const select = `
SELECT p.id, p.name, p.driver, p.description, p.state, n.state AS part, p.config AS common, n.config AS member,
  (SELECT json_group_array(name) FROM (SELECT m.name FROM storage_pools_nodes a JOIN nodes m ON m.id = a.node_id WHERE a.storage_pool_id = p.id ORDER BY m.name)) AS locations
FROM storage_pools p LEFT JOIN storage_pools_nodes n ON n.storage_pool_id = p.id AND n.node_id = ?`;

function toRow({ common: text, member, locations, ...raw }: RawPool): PoolRow {
  const common = JSON.parse(text) as Config;
  return { ...raw, common, config: { ...common, ...(JSON.parse(member ?? '{}') as Config) }, locations: JSON.parse(locations) as string[] };
}

/** Rows of pools, as one member sees them: this one unless another is named. */
@Injectable()
export class PoolsRepository {
  constructor(private readonly member: LocalMember) {}

  list(sql: Sql): PoolRow[] {
    return sql.all<RawPool>(`${select} ORDER BY p.name`, this.member.id).map(toRow);
  }

  find(sql: Sql, name: string, memberId = this.member.id): PoolRow | undefined {
    const raw = sql.get<RawPool>(`${select} WHERE p.name = ?`, memberId, name);
    return raw && toRow(raw);
  }

  get(sql: Sql, name: string, memberId = this.member.id): PoolRow {
    const row = this.find(sql, name, memberId);
    if (row === undefined) throw notFound('Storage pool not found');
    return row;
  }

  parts(sql: Sql, poolId: number): PoolPart[] {
    return sql.all<PoolPart>('SELECT node_id AS memberId, state FROM storage_pools_nodes WHERE storage_pool_id = ? ORDER BY node_id', poolId);
  }

  insert(tx: Tx, pool: { name: string; driver: string; description: string; config: Config }): number {
    const id = tx.nextId('storage_pools');
    tx.sql.run('INSERT INTO storage_pools (id, name, driver, description, state, config) VALUES (?, ?, ?, ?, ?, ?)',
      id, pool.name, pool.driver, pool.description, 'Pending', JSON.stringify(pool.config));
    return id;
  }

  insertPart(tx: Tx, id: number, part: PoolPart & { readonly config: Config }): void {
    tx.sql.run('INSERT INTO storage_pools_nodes (storage_pool_id, node_id, state, config) VALUES (?, ?, ?, ?)',
      id, part.memberId, part.state, JSON.stringify(splitConfig(part.config).member));
  }

  setWholeState(tx: Tx, id: number, state: PoolState): void {
    tx.sql.run('UPDATE storage_pools SET state = ? WHERE id = ?', state, id);
  }

  setPartState(tx: Tx, id: number, state: PartState, memberId = this.member.id): void {
    tx.sql.run('UPDATE storage_pools_nodes SET state = ? WHERE storage_pool_id = ? AND node_id = ?', state, id, memberId);
  }

  /** What belongs to all members; keys of members in `config` are left out. */
  update(tx: Tx, id: number, changes: { description: string; config: Config }): void {
    tx.sql.run('UPDATE storage_pools SET description = ?, config = ? WHERE id = ?', changes.description, JSON.stringify(splitConfig(changes.config).common), id);
  }

  /** What belongs to one member; other keys in `config` are left out. */
  updatePart(tx: Tx, id: number, config: Config, memberId = this.member.id): void {
    tx.sql.run('UPDATE storage_pools_nodes SET config = ? WHERE storage_pool_id = ? AND node_id = ?', JSON.stringify(splitConfig(config).member), id, memberId);
  }

  delete(tx: Tx, name: string): void {
    tx.sql.run('DELETE FROM storage_pools WHERE name = ?', name);
  }
}
