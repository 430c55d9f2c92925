import { Injectable } from '@nestjs/common';
import type { Sql, Tx } from '#platform/database';

export interface GroupRow {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  /** Names, sorted. */
  readonly members: readonly string[];
}

interface RawRow extends Omit<GroupRow, 'members'> {
  readonly members: string;
}

const columns = `g.id, g.name, g.description,
  (SELECT json_group_array(n.name ORDER BY n.name) FROM nodes_cluster_groups m JOIN nodes n ON n.id = m.node_id WHERE m.group_id = g.id) AS members`;

/** Rows of `cluster_groups` and who belongs to them. */
@Injectable()
export class GroupsRepository {
  list(sql: Sql): GroupRow[] {
    return sql.all<RawRow>(`SELECT ${columns} FROM cluster_groups g ORDER BY g.name`).map(toRow);
  }

  find(sql: Sql, name: string): GroupRow | undefined {
    const raw = sql.get<RawRow>(`SELECT ${columns} FROM cluster_groups g WHERE g.name = ?`, name);
    return raw === undefined ? undefined : toRow(raw);
  }

  insert(tx: Tx, name: string, description: string): number {
    const id = tx.nextId('cluster_groups');
    tx.sql.run('INSERT INTO cluster_groups (id, name, description) VALUES (?, ?, ?)', id, name, description);
    return id;
  }

  update(tx: Tx, id: number, values: { readonly name: string; readonly description: string }): void {
    tx.sql.run('UPDATE cluster_groups SET name = ?, description = ? WHERE id = ?', values.name, values.description, id);
  }

  remove(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM cluster_groups WHERE id = ?', id);
  }

  setMembers(tx: Tx, groupId: number, memberIds: readonly number[]): void {
    tx.sql.run('DELETE FROM nodes_cluster_groups WHERE group_id = ?', groupId);
    for (const id of new Set(memberIds)) tx.sql.run('INSERT INTO nodes_cluster_groups (node_id, group_id) VALUES (?, ?)', id, groupId);
  }

  setGroupsOf(tx: Tx, memberId: number, groupIds: readonly number[]): void {
    tx.sql.run('DELETE FROM nodes_cluster_groups WHERE node_id = ?', memberId);
    for (const id of new Set(groupIds)) tx.sql.run('INSERT INTO nodes_cluster_groups (node_id, group_id) VALUES (?, ?)', memberId, id);
  }
}

function toRow(raw: RawRow): GroupRow {
  return { ...raw, members: JSON.parse(raw.members) as string[] };
}
