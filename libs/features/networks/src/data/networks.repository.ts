import { Injectable } from '@nestjs/common';
import { isTrue, LocalMember, notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import { splitConfig, visibleConfig, type Config } from '../rules/network-config.rules.js';

/** `Pending` until it is made on all members, `Errored` while it may be there on some of them only. */
export type NetworkRowState = 'Pending' | 'Created' | 'Errored';

/**
 * A member's part of a network. `Creating` and `Deleting` from before that member's host is touched until its work is done: whoever finds one of
 * them later clears the host. Clients see both as `Pending`.
 */
export type NetworkPartState = 'Pending' | 'Creating' | 'Created' | 'Deleting';

export interface NetworkMemberPart {
  readonly memberId: number;
  readonly state: NetworkPartState;
}

export interface NetworkRow {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly state: NetworkRowState;
  /** Null where the member has no part. */
  readonly part: NetworkPartState | null;
  /** What all members have in common. */
  readonly common: Config;
  /** Common and the member's keys together, the hidden ones too. */
  readonly config: Config;
  readonly locations: string[];
}

interface RawNetwork extends Omit<NetworkRow, 'common' | 'config' | 'locations'> {
  readonly common: string;
  readonly member: string | null;
  readonly locations: string;
}

export interface ProfileDevices {
  readonly project: string;
  readonly profile: string;
  readonly devices: Readonly<Record<string, Config>>;
}

const select = `
SELECT n.id, j.name AS project, n.name, n.type, n.description, n.state, m.state AS part, n.config AS common, m.config AS member,
  (SELECT json_group_array(name) FROM (SELECT o.name FROM networks_nodes a JOIN nodes o ON o.id = a.node_id WHERE a.network_id = n.id ORDER BY o.name)) AS locations
FROM networks n JOIN projects j ON j.id = n.project_id LEFT JOIN networks_nodes m ON m.network_id = n.id AND m.node_id = ?`;

function toRow({ common: text, member, locations, ...raw }: RawNetwork): NetworkRow {
  const common = JSON.parse(text) as Config;
  return { ...raw, common, config: { ...common, ...(JSON.parse(member ?? '{}') as Config) }, locations: JSON.parse(locations) as string[] };
}

/** Rows of networks, as one member sees them: this one unless another is named. */
@Injectable()
export class NetworksRepository {
  constructor(private readonly member: LocalMember) {}

  listAll(sql: Sql): NetworkRow[] {
    return sql.all<RawNetwork>(`${select} ORDER BY n.name`, this.member.id).map(toRow);
  }

  listByProject(sql: Sql, project: string): NetworkRow[] {
    return sql.all<RawNetwork>(`${select} WHERE j.name = ? ORDER BY n.name`, this.member.id, project).map(toRow);
  }

  find(sql: Sql, project: string, name: string, memberId = this.member.id): NetworkRow | undefined {
    const raw = sql.get<RawNetwork>(`${select} WHERE j.name = ? AND n.name = ?`, memberId, project, name);
    return raw && toRow(raw);
  }

  get(sql: Sql, project: string, name: string, memberId = this.member.id): NetworkRow {
    const row = this.find(sql, project, name, memberId);
    if (row === undefined) throw notFound('Network not found');
    return row;
  }

  findById(sql: Sql, id: number): NetworkRow | undefined {
    const raw = sql.get<RawNetwork>(`${select} WHERE n.id = ?`, this.member.id, id);
    return raw && toRow(raw);
  }

  parts(sql: Sql, id: number): NetworkMemberPart[] {
    return sql.all<NetworkMemberPart>('SELECT node_id AS memberId, state FROM networks_nodes WHERE network_id = ? ORDER BY node_id', id);
  }

  /** Each member's own keys, without the hidden ones. */
  partConfigs(sql: Sql, id: number): Config[] {
    const rows = sql.all<{ config: string }>('SELECT config FROM networks_nodes WHERE network_id = ? ORDER BY node_id', id);
    return rows.map(({ config }) => visibleConfig(JSON.parse(config) as Config));
  }

  /** Without a part for any member. */
  insert(tx: Tx, network: { project: string; name: string; type: string; description: string; config: Config }): number {
    const id = tx.nextId('networks');
    tx.sql.run('INSERT INTO networks (id, project_id, name, type, description, state, config) SELECT ?, id, ?, ?, ?, ?, ? FROM projects WHERE name = ?',
      id, network.name, network.type, network.description, 'Pending', JSON.stringify(splitConfig(network.config).common), network.project);
    return id;
  }

  insertPart(tx: Tx, id: number, part: NetworkMemberPart & { readonly config: Config }): void {
    tx.sql.run('INSERT INTO networks_nodes (network_id, node_id, state, config) VALUES (?, ?, ?, ?)', id, part.memberId, part.state, JSON.stringify(splitConfig(part.config).member));
  }

  /** With this member's part, all there is of a network where a member stands alone. */
  insertPending(tx: Tx, network: { project: string; name: string; type: string; description: string; config: Config }): number {
    const id = this.insert(tx, network);
    this.insertPart(tx, id, { memberId: this.member.id, state: 'Pending', config: network.config });
    return id;
  }

  /** Of the whole and of this member's part. */
  setState(tx: Tx, id: number, state: 'Pending' | 'Created'): void {
    this.setWholeState(tx, id, state);
    this.setPartState(tx, id, state);
  }

  setWholeState(tx: Tx, id: number, state: NetworkRowState): void {
    tx.sql.run('UPDATE networks SET state = ? WHERE id = ?', state, id);
  }

  setPartState(tx: Tx, id: number, state: NetworkPartState, memberId = this.member.id): void {
    tx.sql.run('UPDATE networks_nodes SET state = ? WHERE network_id = ? AND node_id = ?', state, id, memberId);
  }

  update(tx: Tx, id: number, changes: { description: string; config: Config }): void {
    this.updateCommon(tx, id, changes);
    this.updatePart(tx, id, changes.config);
  }

  /** What belongs to all members; keys of members in `config` are left out. */
  updateCommon(tx: Tx, id: number, changes: { description: string; config: Config }): void {
    tx.sql.run('UPDATE networks SET description = ?, config = ? WHERE id = ?', changes.description, JSON.stringify(splitConfig(changes.config).common), id);
  }

  /** What belongs to one member; other keys in `config` are left out. */
  updatePart(tx: Tx, id: number, config: Config, memberId = this.member.id): void {
    tx.sql.run('UPDATE networks_nodes SET config = ? WHERE network_id = ? AND node_id = ?', JSON.stringify(splitConfig(config).member), id, memberId);
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
