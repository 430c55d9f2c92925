import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Tx } from '#platform/database';

/** `Creating` until its operation has succeeded. */
export type BackupRowState = 'Creating' | 'Created';

export interface NewBackup {
  readonly name: string;
  /** RFC 3339, whole seconds. */
  readonly createdAt: string;
  /** RFC 3339; null for one that is kept. */
  readonly expiresAt: string | null;
  /** Without the instance's snapshots. */
  readonly instanceOnly: boolean;
  readonly optimized: boolean;
}

export interface BackupRow extends NewBackup {
  readonly id: number;
  readonly instanceId: number;
  readonly state: BackupRowState;
}

interface RawRow {
  readonly id: number;
  readonly instance_id: number;
  readonly name: string;
  readonly creation_date: string;
  readonly expiry_date: string | null;
  readonly container_only: number;
  readonly optimized_storage: number;
  readonly state: string;
}

const select = 'SELECT b.* FROM instances_backups b';

/** Rows of backups. They end with their instance's. */
@Injectable()
export class InstanceBackupRepository {
  constructor(private readonly database: Database) {}

  /** By name, all states. */
  listByInstance(instanceId: number, sql: Sql = this.database.read): BackupRow[] {
    return sql.all<RawRow>(`${select} WHERE b.instance_id = ? ORDER BY b.name`, instanceId).map(fromRaw);
  }

  /** Of several instances at once, by the instance's id. */
  listByInstances(ids: readonly number[]): Map<number, BackupRow[]> {
    const rows = this.database.read.all<RawRow>(`${select} WHERE b.instance_id IN (SELECT value FROM json_each(?)) ORDER BY b.name`, JSON.stringify(ids)).map(fromRaw);
    return Map.groupBy(rows, ({ instanceId }) => instanceId);
  }

  find(instanceId: number, name: string, sql: Sql = this.database.read): BackupRow | undefined {
    const raw = sql.get<RawRow>(`${select} WHERE b.instance_id = ? AND b.name = ?`, instanceId, name);
    return raw && fromRaw(raw);
  }

  /** Of all members' instances: one that was evacuated comes back to its backups. */
  ids(): number[] {
    return this.database.read.all<{ id: number }>('SELECT b.id FROM instances_backups b').map(({ id }) => id);
  }

  /** Those of a member's instances whose time is over. */
  listExpired(memberId: number, now: string): BackupRow[] {
    return this.database.read.all<RawRow>(
      `${select} JOIN instances i ON i.id = b.instance_id
       WHERE i.node_id = ? AND b.state = 'Created' AND b.expiry_date IS NOT NULL AND julianday(b.expiry_date) <= julianday(?) ORDER BY b.id`, memberId, now).map(fromRaw);
  }

  /** The unique constraint on instance and name is the caller's to translate. */
  insert(tx: Tx, instanceId: number, backup: NewBackup): number {
    const id = tx.nextId('instances_backups');
    tx.sql.run(
      `INSERT INTO instances_backups (id, instance_id, name, creation_date, expiry_date, container_only, optimized_storage, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'Creating')`,
      id, instanceId, backup.name, backup.createdAt, backup.expiresAt, backup.instanceOnly ? 1 : 0, backup.optimized ? 1 : 0);
    return id;
  }

  /** False when it is no more: its instance was deleted meanwhile. */
  setCreated(tx: Tx, id: number): boolean {
    return tx.sql.run(`UPDATE instances_backups SET state = 'Created' WHERE id = ?`, id).changes > 0;
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE instances_backups SET name = ? WHERE id = ?', name, id);
  }

  /** Absent is success. */
  remove(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM instances_backups WHERE id = ?', id);
  }
}

function fromRaw(raw: RawRow): BackupRow {
  return {
    id: raw.id, instanceId: raw.instance_id, name: raw.name, createdAt: raw.creation_date, expiresAt: raw.expiry_date, instanceOnly: raw.container_only !== 0,
    optimized: raw.optimized_storage !== 0, state: raw.state as BackupRowState,
  };
}
