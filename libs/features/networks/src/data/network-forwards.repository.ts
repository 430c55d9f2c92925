import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { Database, type Sql, type Tx } from '#platform/database';
import type { ForwardContent } from '../rules/network-forward.rules.js';

export interface NetworkForwardRow extends ForwardContent {
  readonly id: number;
  readonly networkId: number;
  readonly memberId: number;
  /** Name of the member it is on. */
  readonly location: string;
  readonly listenAddress: string;
}

/** Schema level that brought the table: members of an older cluster have none. */
const sinceLevel = 7;

const select = `SELECT f.id, f.network_id AS networkId, f.node_id AS memberId, o.name AS location, f.listen_address AS listenAddress, f.description, f.ports, f.config
  FROM networks_forwards f JOIN nodes o ON o.id = f.node_id`;

type RawForward = Omit<NetworkForwardRow, 'config' | 'ports'> & { readonly config: string; readonly ports: string };

function toRow({ config, ports, ...raw }: RawForward): NetworkForwardRow {
  return { ...raw, config: JSON.parse(config) as NetworkForwardRow['config'], ports: JSON.parse(ports) as NetworkForwardRow['ports'] };
}

/** Rows of address forwards, of all members. */
@Injectable()
export class NetworkForwardsRepository {
  constructor(private readonly database: Database, private readonly member: LocalMember) {}

  list(sql: Sql, networkId: number): NetworkForwardRow[] {
    return this.all(sql, `${select} WHERE f.network_id = ? ORDER BY f.listen_address, o.name`, networkId);
  }

  /** Of one network on this member. */
  here(sql: Sql, networkId: number): NetworkForwardRow[] {
    return this.all(sql, `${select} WHERE f.network_id = ? AND f.node_id = ? ORDER BY f.listen_address`, networkId, this.member.id);
  }

  /** Of all networks on one member. */
  onMember(sql: Sql, memberId: number): NetworkForwardRow[] {
    return this.all(sql, `${select} WHERE f.node_id = ?`, memberId);
  }

  insert(tx: Tx, forward: Omit<NetworkForwardRow, 'id' | 'location'>): void {
    tx.sql.run('INSERT INTO networks_forwards (id, network_id, node_id, listen_address, description, ports, config) VALUES (?, ?, ?, ?, ?, ?, ?)',
      tx.nextId('networks_forwards'), forward.networkId, forward.memberId, forward.listenAddress, forward.description, JSON.stringify(forward.ports), JSON.stringify(forward.config));
  }

  update(tx: Tx, id: number, { description, ports, config }: ForwardContent): void {
    tx.sql.run('UPDATE networks_forwards SET description = ?, ports = ?, config = ? WHERE id = ?', description, JSON.stringify(ports), JSON.stringify(config), id);
  }

  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM networks_forwards WHERE id = ?', id);
  }

  private all(sql: Sql, query: string, ...values: (string | number)[]): NetworkForwardRow[] {
    return this.database.head.level < sinceLevel ? [] : sql.all<RawForward>(query, ...values).map(toRow);
  }
}
