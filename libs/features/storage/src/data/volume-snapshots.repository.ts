import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import type { Config } from '../rules/pool-config.rules.js';

export interface VolumeSnapshotRow {
  readonly id: number;
  readonly volumeId: number;
  readonly name: string;
  readonly description: string;
  /** RFC 3339; null for one that is kept. */
  readonly expiresAt: string | null;
  readonly createdAt: string;
  readonly config: Config;
}

type RawSnapshot = Omit<VolumeSnapshotRow, 'config'> & { config: string };

const select = `SELECT s.id, s.storage_volume_id AS volumeId, s.name, s.description, s.expiry_date AS expiresAt, s.creation_date AS createdAt, s.config
FROM storage_volumes_snapshots s`;

function toRow(raw: RawSnapshot): VolumeSnapshotRow {
  return { ...raw, config: JSON.parse(raw.config) as Config };
}

/** Rows of snapshots of volumes. They end with their volume's. */
@Injectable()
export class VolumeSnapshotsRepository {
  /** Oldest first. */
  list(sql: Sql, volumeId: number): VolumeSnapshotRow[] {
    return sql.all<RawSnapshot>(`${select} WHERE s.storage_volume_id = ? ORDER BY s.id`, volumeId).map(toRow);
  }

  find(sql: Sql, volumeId: number, name: string): VolumeSnapshotRow | undefined {
    const raw = sql.get<RawSnapshot>(`${select} WHERE s.storage_volume_id = ? AND s.name = ?`, volumeId, name);
    return raw && toRow(raw);
  }

  /** Volumes have their ids from the same counter, so that no volume and snapshot share one. */
  insert(tx: Tx, volumeId: number, snapshot: { readonly name: string; readonly expiresAt: string | null; readonly createdAt: string; readonly config?: Config; readonly description?: string }): void {
    if (this.find(tx.sql, volumeId, snapshot.name) !== undefined) throw conflict('Volume by that name already exists');
    tx.sql.run('INSERT INTO storage_volumes_snapshots (id, storage_volume_id, name, description, expiry_date, creation_date, config) VALUES (?, ?, ?, ?, ?, ?, ?)',
      tx.nextId('storage_volumes'), volumeId, snapshot.name, snapshot.description ?? '', snapshot.expiresAt, snapshot.createdAt, JSON.stringify(snapshot.config ?? {}));
  }

  update(tx: Tx, id: number, content: { readonly description: string; readonly expiresAt: string | null }): void {
    tx.sql.run('UPDATE storage_volumes_snapshots SET description = ?, expiry_date = ? WHERE id = ?', content.description, content.expiresAt, id);
  }

  /** Of a member's custom volumes: those whose time is over. */
  listExpired(sql: Sql, memberId: number, now: string): { pool: string; project: string; volume: string; snapshot: string }[] {
    return sql.all(`SELECT p.name AS pool, j.name AS project, v.name AS volume, s.name AS snapshot
      FROM storage_volumes_snapshots s JOIN storage_volumes v ON v.id = s.storage_volume_id JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id
      WHERE v.type = 'custom' AND v.state = 'Created' AND v.node_id = ? AND s.expiry_date IS NOT NULL AND julianday(s.expiry_date) <= julianday(?) ORDER BY s.id`, memberId, now);
  }

  rename(tx: Tx, volumeId: number, name: string, newName: string): void {
    tx.sql.run('UPDATE storage_volumes_snapshots SET name = ? WHERE storage_volume_id = ? AND name = ?', newName, volumeId, name);
  }

  /** Absent is success. */
  delete(tx: Tx, volumeId: number, name: string): void {
    tx.sql.run('DELETE FROM storage_volumes_snapshots WHERE storage_volume_id = ? AND name = ?', volumeId, name);
  }
}
