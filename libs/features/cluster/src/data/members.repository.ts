import { Injectable } from '@nestjs/common';
import type { Sql, Tx } from '#platform/database';

export type MemberState = 'created' | 'pending' | 'evacuated';

/** What part a member has in the log. */
export type VoterRole = '' | 'learner' | 'voter' | 'standby';

/** What a member announced at its last start, and when it asked to join. */
export interface MemberVersion {
  readonly level?: number;
  readonly apiExtensions?: number;
  /** RFC 3339, while it is pending. */
  readonly pendingSince?: string;
}

export interface MemberRow {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  /** `host:port` of its cluster listener. */
  readonly address: string;
  readonly architecture: string;
  /** Roles given by hand; those of the database follow from `voter`. */
  readonly roles: readonly string[];
  readonly config: Readonly<Record<string, string>>;
  readonly failureDomain: string;
  readonly state: MemberState;
  readonly voter: VoterRole;
  readonly version: MemberVersion;
  /** PEM of its server.crt. */
  readonly certificate: string;
  /** Names of groups, sorted. */
  readonly groups: readonly string[];
}

interface RawRow {
  id: number;
  name: string;
  description: string;
  address: string;
  architecture: string;
  roles: string;
  config: string;
  failure_domain: string;
  state: MemberState;
  voter: VoterRole;
  version: string;
  certificate: string;
  groups: string;
}

const columns = `n.id, n.name, n.description, n.address, n.architecture, n.roles, n.config, n.failure_domain, n.state, n.voter, n.version, n.certificate,
  (SELECT json_group_array(g.name ORDER BY g.name) FROM nodes_cluster_groups m JOIN cluster_groups g ON g.id = m.group_id WHERE m.node_id = n.id) AS groups`;

/** Rows of `nodes`, and what must be known about rows that name a member. */
@Injectable()
export class MembersRepository {
  /** In order of names; those that are still joining only when asked for. */
  list(sql: Sql, options: { pending?: boolean } = {}): MemberRow[] {
    const where = options.pending === true ? '' : "WHERE n.state <> 'pending'";
    return sql.all<RawRow>(`SELECT ${columns} FROM nodes n ${where} ORDER BY n.name`).map(toRow);
  }

  find(sql: Sql, name: string): MemberRow | undefined {
    return maybe(sql.get<RawRow>(`SELECT ${columns} FROM nodes n WHERE n.name = ?`, name));
  }

  byId(sql: Sql, id: number): MemberRow | undefined {
    return maybe(sql.get<RawRow>(`SELECT ${columns} FROM nodes n WHERE n.id = ?`, id));
  }

  byAddress(sql: Sql, address: string): MemberRow | undefined {
    return maybe(sql.get<RawRow>(`SELECT ${columns} FROM nodes n WHERE n.address = ?`, address));
  }

  /** A member that was let in and has yet to prove itself. Its id is never used again. */
  insertPending(tx: Tx, member: Pick<MemberRow, 'name' | 'address' | 'architecture' | 'certificate' | 'version'>): number {
    const id = tx.nextId('nodes');
    tx.sql.run(
      "INSERT INTO nodes (id, name, address, architecture, certificate, version, state) VALUES (?, ?, ?, ?, ?, ?, 'pending')",
      id, member.name, member.address, member.architecture, member.certificate, JSON.stringify(member.version));
    tx.sql.run("INSERT INTO nodes_cluster_groups (node_id, group_id) SELECT ?, id FROM cluster_groups WHERE name = 'default'", id);
    return id;
  }

  setIdentity(tx: Tx, id: number, member: Pick<MemberRow, 'name' | 'address' | 'architecture' | 'certificate' | 'version'>): void {
    tx.sql.run('UPDATE nodes SET name = ?, address = ?, architecture = ?, certificate = ?, version = ? WHERE id = ?',
      member.name, member.address, member.architecture, member.certificate, JSON.stringify(member.version), id);
  }

  /** Incarnation of the history in which a recovery left it behind; null for every other member. */
  leftOut(sql: Sql, id: number): string | null {
    return sql.get<{ former: string | null }>("SELECT raft ->> 'leftOut' AS former FROM nodes WHERE id = ?", id)?.former ?? null;
  }

  /** A member that was left out is back. */
  takeBack(tx: Tx, id: number): void {
    tx.sql.run("UPDATE nodes SET raft = json_remove(raft, '$.leftOut') WHERE id = ?", id);
  }

  /** `project/name`, in order. */
  instancesOf(sql: Sql, id: number): string[] {
    return sql.all<{ name: string }>("SELECT p.name || '/' || i.name AS name FROM instances i JOIN projects p ON p.id = i.project_id WHERE i.node_id = ? ORDER BY 1", id).map(({ name }) => name);
  }

  setState(tx: Tx, id: number, state: MemberState): void {
    tx.sql.run('UPDATE nodes SET state = ? WHERE id = ?', state, id);
  }

  setVersion(tx: Tx, id: number, version: MemberVersion): void {
    tx.sql.run('UPDATE nodes SET version = ? WHERE id = ?', JSON.stringify(version), id);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE nodes SET name = ? WHERE id = ?', name, id);
  }

  update(tx: Tx, id: number, values: Pick<MemberRow, 'description' | 'roles' | 'config' | 'failureDomain'>): void {
    tx.sql.run('UPDATE nodes SET description = ?, roles = ?, config = ?, failure_domain = ? WHERE id = ?',
      values.description, JSON.stringify(values.roles), JSON.stringify(values.config), values.failureDomain, id);
  }

  /** What is only on this member and would be lost with it: names by kind, as LXD calls them. */
  contents(sql: Sql, id: number): { readonly kind: 'containers' | 'images' | 'custom volumes'; readonly names: string[] }[] {
    const names = (text: string): string[] => sql.all<{ name: string }>(text, id).map(({ name }) => name);
    return [
      { kind: 'containers' as const, names: names('SELECT name FROM instances WHERE node_id = ? ORDER BY id') },
      {
        kind: 'images' as const,
        names: names(`SELECT i.fingerprint AS name FROM images i JOIN images_nodes n ON n.image_id = i.id WHERE n.node_id = ?
          AND (SELECT count(*) FROM images_nodes o WHERE o.image_id = i.id) = 1 ORDER BY i.id`),
      },
      { kind: 'custom volumes' as const, names: names("SELECT name FROM storage_volumes WHERE node_id = ? AND type = 'custom' ORDER BY id") },
    ];
  }

  /**
   * The member and everything that is on it alone, in one transaction: instances, volumes, images nobody else has, its operations and its
   * warnings. Operations of other members that wait for rows of this one see them gone.
   */
  remove(tx: Tx, row: Pick<MemberRow, 'id' | 'name'>): void {
    const { id, name } = row;
    tx.sql.run('DELETE FROM images WHERE id IN (SELECT image_id FROM images_nodes WHERE node_id = ?) AND (SELECT count(*) FROM images_nodes o WHERE o.image_id = images.id) = 1', id);
    tx.sql.run("UPDATE operations SET status = 'Failure', error = ?, conflict_key = NULL, updated_at = ? WHERE node_id = ? AND status NOT IN ('Success', 'Failure', 'Cancelled')",
      `Member "${name}" was removed from the cluster`, tx.now.toISOString(), id);
    tx.sql.run('DELETE FROM warnings WHERE node_id = ?', id);
    // Its rows in other tables go with it: instances, volumes, pools and networks of members, groups.
    tx.sql.run('DELETE FROM nodes WHERE id = ?', id);
  }
}

function maybe(raw: RawRow | undefined): MemberRow | undefined {
  return raw === undefined ? undefined : toRow(raw);
}

function toRow({ failure_domain, ...raw }: RawRow): MemberRow {
  return {
    ...raw, failureDomain: failure_domain, roles: JSON.parse(raw.roles) as string[], config: JSON.parse(raw.config) as Record<string, string>,
    version: JSON.parse(raw.version) as MemberVersion, groups: JSON.parse(raw.groups) as string[],
  };
}
