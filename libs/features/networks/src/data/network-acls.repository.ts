import { Injectable } from '@nestjs/common';
import { notFound } from '#kernel';
import { Database, type Sql, type Tx } from '#platform/database';
import type { AclRules } from '../rules/network-acl.rules.js';
import type { Config } from '../rules/network-config.rules.js';

export interface NetworkAclContent extends AclRules {
  readonly description: string;
  readonly config: Config;
}

export interface NetworkAclRow extends NetworkAclContent {
  readonly id: number;
  readonly project: string;
  readonly name: string;
}

/** Schema level that brought the table: members of an older cluster have none. */
const sinceLevel = 7;

const select = 'SELECT a.id, j.name AS project, a.name, a.description, a.ingress, a.egress, a.config FROM networks_acls a JOIN projects j ON j.id = a.project_id';

type RawAcl = Pick<NetworkAclRow, 'id' | 'project' | 'name' | 'description'> & Readonly<Record<'ingress' | 'egress' | 'config', string>>;

function toRow({ ingress, egress, config, ...raw }: RawAcl): NetworkAclRow {
  return { ...raw, ingress: JSON.parse(ingress) as AclRules['ingress'], egress: JSON.parse(egress) as AclRules['egress'], config: JSON.parse(config) as Config };
}

/** Rows of access lists. */
@Injectable()
export class NetworkAclsRepository {
  constructor(private readonly database: Database) {}

  list(sql: Sql, project: string): NetworkAclRow[] {
    if (this.database.head.level < sinceLevel) return [];
    return sql.all<RawAcl>(`${select} WHERE j.name = ? ORDER BY a.name`, project).map(toRow);
  }

  find(sql: Sql, project: string, name: string): NetworkAclRow | undefined {
    if (this.database.head.level < sinceLevel) return undefined;
    const raw = sql.get<RawAcl>(`${select} WHERE j.name = ? AND a.name = ?`, project, name);
    return raw && toRow(raw);
  }

  get(sql: Sql, project: string, name: string): NetworkAclRow {
    const row = this.find(sql, project, name);
    if (row === undefined) throw notFound('Network ACL not found');
    return row;
  }

  insert(tx: Tx, acl: Omit<NetworkAclRow, 'id'>): void {
    tx.sql.run('INSERT INTO networks_acls (id, project_id, name, description, ingress, egress, config) SELECT ?, id, ?, ?, ?, ?, ? FROM projects WHERE name = ?',
      tx.nextId('networks_acls'), acl.name, acl.description, JSON.stringify(acl.ingress), JSON.stringify(acl.egress), JSON.stringify(acl.config), acl.project);
  }

  update(tx: Tx, id: number, { description, ingress, egress, config }: NetworkAclContent): void {
    tx.sql.run('UPDATE networks_acls SET description = ?, ingress = ?, egress = ?, config = ? WHERE id = ?',
      description, JSON.stringify(ingress), JSON.stringify(egress), JSON.stringify(config), id);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE networks_acls SET name = ? WHERE id = ?', name, id);
  }

  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM networks_acls WHERE id = ?', id);
  }
}
