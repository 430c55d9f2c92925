import { Injectable } from '@nestjs/common';
import { isTrue, notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import { splitConfig, type Config } from '../rules/network-config.rules.js';

/** `Pending` while the host is being prepared or cleared: a daemon that finds it at its start undoes it. */
export type NetworkRowState = 'Pending' | 'Created';

export interface NetworkRow {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly state: NetworkRowState;
  /** Common and this member's keys together, the hidden ones too. */
  readonly config: Config;
  readonly locations: string[];
}

interface RawNetwork {
  readonly id: number; readonly project: string; readonly name: string; readonly type: string; readonly description: string;
  readonly state: NetworkRowState; readonly common: string; readonly member: string; readonly locations: string;
}

export interface ProfileDevices {
  readonly project: string;
  readonly profile: string;
  readonly devices: Readonly<Record<string, Config>>;
}

/** `nodes.id` of a member that stands alone. */
const localMemberId = 1;

const select = `
SELECT n.id, j.name AS project, n.name, n.type, n.description, m.state, n.config AS common, m.config AS member,
  (SELECT json_group_array(o.name) FROM networks_nodes a JOIN nodes o ON o.id = a.node_id WHERE a.network_id = n.id) AS locations
FROM networks n JOIN projects j ON j.id = n.project_id JOIN networks_nodes m ON m.network_id = n.id AND m.node_id = ${localMemberId}`;

function toRow({ common, member, locations, ...raw }: RawNetwork): NetworkRow {
  return { ...raw, config: { ...JSON.parse(common), ...JSON.parse(member) } as Config, locations: JSON.parse(locations) as string[] };
}

@Injectable()
export class NetworksRepository {
  listAll(sql: Sql): NetworkRow[] {
    return sql.all<RawNetwork>(`${select} ORDER BY n.name`).map(toRow);
  }

  listByProject(sql: Sql, project: string): NetworkRow[] {
    return sql.all<RawNetwork>(`${select} WHERE j.name = ? ORDER BY n.name`, project).map(toRow);
  }

  find(sql: Sql, project: string, name: string): NetworkRow | undefined {
    const raw = sql.get<RawNetwork>(`${select} WHERE j.name = ? AND n.name = ?`, project, name);
    return raw && toRow(raw);
  }

  get(sql: Sql, project: string, name: string): NetworkRow {
    const row = this.find(sql, project, name);
    if (row === undefined) throw notFound('Network not found');
    return row;
  }

  /** Name of this member: `none` while it stands alone. */
  location(sql: Sql): string {
    return sql.get<{ name: string }>('SELECT name FROM nodes WHERE id = ?', localMemberId)?.name ?? 'none';
  }

  insertPending(tx: Tx, network: { project: string; name: string; type: string; description: string; config: Config }): number {
    const id = tx.nextId('networks');
    const { common, member } = splitConfig(network.config);
    tx.sql.run('INSERT INTO networks (id, project_id, name, type, description, state, config) SELECT ?, id, ?, ?, ?, ?, ? FROM projects WHERE name = ?',
      id, network.name, network.type, network.description, 'Pending', JSON.stringify(common), network.project);
    tx.sql.run('INSERT INTO networks_nodes (network_id, node_id, state, config) VALUES (?, ?, ?, ?)', id, localMemberId, 'Pending', JSON.stringify(member));
    return id;
  }

  setState(tx: Tx, id: number, state: NetworkRowState): void {
    tx.sql.run('UPDATE networks SET state = ? WHERE id = ?', state, id);
    tx.sql.run('UPDATE networks_nodes SET state = ? WHERE network_id = ? AND node_id = ?', state, id, localMemberId);
  }

  update(tx: Tx, id: number, changes: { description: string; config: Config }): void {
    const { common, member } = splitConfig(changes.config);
    tx.sql.run('UPDATE networks SET description = ?, config = ? WHERE id = ?', changes.description, JSON.stringify(common), id);
    tx.sql.run('UPDATE networks_nodes SET config = ? WHERE network_id = ? AND node_id = ?', JSON.stringify(member), id, localMemberId);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE networks SET name = ? WHERE id = ?', name, id);
  }

  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM networks WHERE id = ?', id);
  }

  /** Profiles cannot register as users (they know nothing of networks), so that their rows are read here; with the project their NICs look for networks in. */
  profileDevices(sql: Sql): (ProfileDevices & { readonly networkProject: string })[] {
    const rows = sql.all<{ project: string; profile: string; devices: string; own: string | null }>(
      `SELECT j.name AS project, p.name AS profile, p.devices, json_extract(j.config, '$."features.networks"') AS own
       FROM profiles p JOIN projects j ON j.id = p.project_id WHERE p.devices <> '{}' ORDER BY p.name`);
    return rows.map(({ project, profile, devices, own }) => ({
      project, profile, devices: JSON.parse(devices) as ProfileDevices['devices'], networkProject: isTrue(own ?? '') ? project : 'default',
    }));
  }
}
