import { Injectable } from '@nestjs/common';
import type { ImageAliasesEntry } from '#api-types';
import { conflict } from '#kernel';
import { isUniqueViolation, type Sql, type Tx } from '#platform/database';
import type { ImageType } from './images.repository.js';

export interface AliasRow {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly imageId: number;
  readonly target: string;
  readonly type: ImageType;
}

const select = `
SELECT a.id, a.name, a.description, a.image_id AS imageId, i.fingerprint AS target, i.type
FROM images_aliases a JOIN images i ON i.id = a.image_id`;

/** Names that stand for an image within a project. */
@Injectable()
export class ImageAliasesRepository {
  list(sql: Sql, projectId: number, publicOnly = false): AliasRow[] {
    return sql.all<AliasRow>(`${select} WHERE a.project_id = ? AND i.public >= ? ORDER BY a.name`, projectId, publicOnly ? 1 : 0);
  }

  find(sql: Sql, projectId: number, name: string, publicOnly = false): AliasRow | undefined {
    return sql.get<AliasRow>(`${select} WHERE a.project_id = ? AND a.name = ? AND i.public >= ?`, projectId, name, publicOnly ? 1 : 0);
  }

  /** `conflict` in LXD's words when the name is taken. */
  insert(tx: Tx, projectId: number, alias: { name: string; description: string; imageId: number }): void {
    if (this.find(tx.sql, projectId, alias.name) !== undefined) throw conflict(`Alias "${alias.name}" already exists`);
    tx.sql.run('INSERT INTO images_aliases (id, project_id, image_id, name, description) VALUES (?, ?, ?, ?, ?)',
      tx.nextId('images_aliases'), projectId, alias.imageId, alias.name, alias.description);
  }

  update(tx: Tx, id: number, values: { description: string; imageId: number }): void {
    tx.sql.run('UPDATE images_aliases SET description = ?, image_id = ? WHERE id = ?', values.description, values.imageId, id);
  }

  rename(tx: Tx, id: number, name: string): void {
    try {
      tx.sql.run('UPDATE images_aliases SET name = ? WHERE id = ?', name, id);
    } catch (error) {
      throw isUniqueViolation(error) ? conflict(`Alias "${name}" already exists`) : error;
    }
  }

  /** Aliases of a replaced image point to its successor. */
  moveAll(tx: Tx, fromImage: number, toImage: number): void {
    tx.sql.run('UPDATE images_aliases SET image_id = ? WHERE image_id = ?', toImage, fromImage);
  }

  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM images_aliases WHERE id = ?', id);
  }
}

export function aliasApi({ description, target, name, type }: AliasRow): ImageAliasesEntry {
  return { description, target, name, type };
}
