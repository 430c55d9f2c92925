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
  insert(tx: Tx, volumeId: number, snapshot: { readonly name: string; readonly expiresAt: string | null; readonly createdAt: string; readonly config?: Config }): void {
    if (this.find(tx.sql, volumeId, snapshot.name) !== undefined) throw conflict('Volume by that name already exists');
    tx.sql.run('INSERT INTO storage_volumes_snapshots (id, storage_volume_id, name, expiry_date, creation_date, config) VALUES (?, ?, ?, ?, ?, ?)',
      tx.nextId('storage_volumes'), volumeId, snapshot.name, snapshot.expiresAt, snapshot.createdAt, JSON.stringify(snapshot.config ?? {}));
  }

  rename(tx: Tx, volumeId: number, name: string, newName: string): void {
    tx.sql.run('UPDATE storage_volumes_snapshots SET name = ? WHERE storage_volume_id = ? AND name = ?', newName, volumeId, name);
  }

  /** Absent is success. */
  delete(tx: Tx, volumeId: number, name: string): void {
    tx.sql.run('DELETE FROM storage_volumes_snapshots WHERE storage_volume_id = ? AND name = ?', volumeId, name);
  }
}
