import { Database, type Sql, type Tx } from '#platform/database';

/** `Creating` until its operation has succeeded. */
export type BackupRowState = 'Creating' | 'Created';

export interface NewBackup {
  readonly name: string;
  /** RFC 3339, whole seconds. */
  readonly createdAt: string;
  /** RFC 3339; null for one that is kept. */
  readonly expiresAt: string | null;
  /** Without the snapshots of what it is of. */
  readonly alone: boolean;
  readonly optimized: boolean;
}

export interface BackupRow extends NewBackup {
  readonly id: number;
  /** Of what it is a backup of. */
  readonly ownerId: number;
  readonly state: BackupRowState;
}

/** A table of backups, whose columns LXD names after what they are of. */
export interface BackupTable {
  readonly table: 'instances_backups' | 'storage_volumes_backups';
  readonly owner: string;
  readonly alone: string;
}

type RawRow = Omit<BackupRow, 'alone' | 'optimized'> & { readonly alone: number; readonly optimized: number };

/** Rows of backups. They end with what they are of. */
export abstract class BackupRows {
  private readonly select: string;

  protected constructor(protected readonly database: Database, private readonly names: BackupTable) {
    this.select = `SELECT b.id, b.${names.owner} AS ownerId, b.name, b.creation_date AS createdAt, b.expiry_date AS expiresAt, b.${names.alone} AS alone, b.optimized_storage AS optimized, b.state
      FROM ${names.table} b`;
  }

  /** By name, all states. */
  list(ownerId: number, sql: Sql = this.database.read): BackupRow[] {
    return this.rows(sql, `WHERE b.${this.names.owner} = ? ORDER BY b.name`, ownerId);
  }

  /** Of several owners at once, by the owner's id. */
  listAll(ids: readonly number[]): Map<number, BackupRow[]> {
    return Map.groupBy(this.rows(this.database.read, `WHERE b.${this.names.owner} IN (SELECT value FROM json_each(?)) ORDER BY b.name`, JSON.stringify(ids)), ({ ownerId }) => ownerId);
  }

  find(ownerId: number, name: string, sql: Sql = this.database.read): BackupRow | undefined {
    return this.rows(sql, `WHERE b.${this.names.owner} = ? AND b.name = ?`, ownerId, name)[0];
  }

  /** Those of all members: what was moved away for a time comes back to its backups. */
  ids(): number[] {
    return this.database.read.all<{ id: number }>(`SELECT id FROM ${this.names.table}`).map(({ id }) => id);
  }

  /** Those of a member whose time is over. */
  listExpired(memberId: number, now: string): BackupRow[] {
    return this.rows(this.database.read, `JOIN ${this.ownerTable} o ON o.id = b.${this.names.owner}
      WHERE o.node_id = ? AND b.state = 'Created' AND b.expiry_date IS NOT NULL AND julianday(b.expiry_date) <= julianday(?) ORDER BY b.id`, memberId, now);
  }

  /** The unique constraint on owner and name is the caller's to translate. */
  insert(tx: Tx, ownerId: number, backup: NewBackup): number {
    const { table, owner, alone } = this.names;
    const id = tx.nextId(table);
    tx.sql.run(
      `INSERT INTO ${table} (id, ${owner}, name, creation_date, expiry_date, ${alone}, optimized_storage, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'Creating')`,
      id, ownerId, backup.name, backup.createdAt, backup.expiresAt, backup.alone ? 1 : 0, backup.optimized ? 1 : 0);
    return id;
  }

  /** False when it is no more: what it is of was deleted meanwhile. */
  setCreated(tx: Tx, id: number): boolean {
    return tx.sql.run(`UPDATE ${this.names.table} SET state = 'Created' WHERE id = ?`, id).changes > 0;
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run(`UPDATE ${this.names.table} SET name = ? WHERE id = ?`, name, id);
  }

  /** Absent is success. */
  remove(tx: Tx, id: number): void {
    tx.sql.run(`DELETE FROM ${this.names.table} WHERE id = ?`, id);
  }

  private get ownerTable(): string {
    return this.names.table.replace('_backups', '');
  }

  private rows(sql: Sql, rest: string, ...values: (string | number)[]): BackupRow[] {
    return sql.all<RawRow>(`${this.select} ${rest}`, ...values).map((raw) => ({ ...raw, alone: raw.alone !== 0, optimized: raw.optimized !== 0 }));
  }
}
