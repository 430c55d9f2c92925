import { Injectable } from '@nestjs/common';
import { zeroTime, type ImageAlias, type ImageSource } from '#api-types';
import { internal, invalid, isTrueOrEmpty, notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';

export type ImageType = 'container' | 'virtual-machine';

/** An image of one project. Times are RFC 3339, `zeroTime` for never. */
export interface ImageRow {
  readonly id: number;
  readonly projectId: number;
  /** The project it is stored in, which is `default` for projects with `features.images=false`. */
  readonly project: string;
  readonly fingerprint: string;
  readonly type: ImageType;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly public: boolean;
  readonly autoUpdate: boolean;
  readonly cached: boolean;
  /** Example: `x86_64` */
  readonly architecture: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly uploadedAt: string;
  readonly lastUsedAt: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Names of profiles for instances that name none. */
  readonly profiles: readonly string[];
  /** Where it is updated from; null for one that was uploaded, or asked for by fingerprint. */
  readonly source: ImageSource | null;
}

/** What a new row needs. */
export interface NewImage {
  readonly fingerprint: string;
  readonly type: ImageType;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly public: boolean;
  readonly autoUpdate: boolean;
  readonly cached: boolean;
  readonly architecture: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Null: the profile `default`. */
  readonly profiles: readonly string[] | null;
  readonly source: ImageSource | null;
}

export interface ImageChanges {
  readonly filename?: string;
  readonly public?: boolean;
  readonly autoUpdate?: boolean;
  readonly cached?: boolean;
  readonly expiresAt?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
  readonly source?: ImageSource | null;
}

interface RawImage {
  id: number; projectId: number; project: string; fingerprint: string; type: ImageType; filename: string; size: number; public: number;
  auto_update: number; cached: number; architecture: string; creation_date: string; expiry_date: string; upload_date: string;
  last_use_date: string; properties: string; profiles: string; source: string; profileNames: string | null;
}

/** Profiles are kept by id, so that renaming one is followed and deleting one forgets it. */
const select = `
SELECT i.id, i.project_id AS projectId, p.name AS project, i.fingerprint, i.type, i.filename, i.size, i.public, i.auto_update, i.cached,
  i.architecture, i.creation_date, i.expiry_date, i.upload_date, i.last_use_date, i.properties, i.profiles, i.source,
  (SELECT json_group_array(f.name ORDER BY l.key) FROM json_each(i.profiles) l JOIN profiles f ON f.id = l.value) AS profileNames
FROM images i JOIN projects p ON p.id = i.project_id`;

function toRow(raw: RawImage): ImageRow {
  const source = JSON.parse(raw.source) as Partial<ImageSource>;
  return {
    id: raw.id, projectId: raw.projectId, project: raw.project, fingerprint: raw.fingerprint, type: raw.type, filename: raw.filename,
    sizeBytes: raw.size, public: raw.public === 1, autoUpdate: raw.auto_update === 1, cached: raw.cached === 1,
    architecture: raw.architecture, createdAt: raw.creation_date, expiresAt: raw.expiry_date, uploadedAt: raw.upload_date,
    lastUsedAt: raw.last_use_date, properties: JSON.parse(raw.properties) as Record<string, string>,
    profiles: JSON.parse(raw.profileNames ?? '[]') as string[],
    source: source.server === undefined ? null : (source as ImageSource),
  };
}

/** Rows of images. Reads take any `Sql`, so that a decision can be made inside the transaction that rests on it. */
@Injectable()
export class ImagesRepository {
  /** The project whose images a project uses. `not-found` in LXD's words for an unknown one. */
  imageProject(sql: Sql, project: string): { id: number; name: string } {
    const row = sql.get<{ id: number; config: string }>('SELECT id, config FROM projects WHERE name = ?', project);
    if (row === undefined) throw notFound('Check if project has images: fetch project: Project not found');
    const config = JSON.parse(row.config) as Record<string, string>;
    if (project === 'default' || isTrueOrEmpty(config['features.images'])) return { id: row.id, name: project };
    return { id: sql.get<{ id: number }>("SELECT id FROM projects WHERE name = 'default'")!.id, name: 'default' };
  }

  listByProject(sql: Sql, projectId: number): ImageRow[] {
    return sql.all<RawImage>(`${select} WHERE i.project_id = ? ORDER BY i.fingerprint`, projectId).map(toRow);
  }

  fingerprintsByProject(sql: Sql, projectId: number, publicOnly: boolean): string[] {
    const rows = sql.all<{ fingerprint: string }>(
      `SELECT fingerprint FROM images WHERE project_id = ? AND public >= ? ORDER BY fingerprint`, projectId, publicOnly ? 1 : 0);
    return rows.map((row) => row.fingerprint);
  }

  /** Stored in the project itself, whatever project it uses images of. */
  fingerprintsIn(sql: Sql, project: string): string[] {
    const rows = sql.all<{ fingerprint: string }>(
      'SELECT i.fingerprint FROM images i JOIN projects p ON p.id = i.project_id WHERE p.name = ? ORDER BY i.fingerprint', project);
    return rows.map((row) => row.fingerprint);
  }

  /** Rows with a source and `auto_update`, in all projects. */
  listForUpdate(sql: Sql): ImageRow[] {
    return sql.all<RawImage>(`${select} WHERE i.auto_update = 1 ORDER BY i.id`).map(toRow);
  }

  listAll(sql: Sql): ImageRow[] {
    return sql.all<RawImage>(`${select} ORDER BY i.id`).map(toRow);
  }

  listCached(sql: Sql): ImageRow[] {
    return sql.all<RawImage>(`${select} WHERE i.cached = 1 ORDER BY i.id`).map(toRow);
  }

  /** The one image whose fingerprint begins so. `not-found` for none, LXD's 500 for several. */
  byPrefix(sql: Sql, projectId: number, prefix: string, publicOnly = false): ImageRow {
    const rows = /^[0-9a-f]+$/.test(prefix)
      ? sql.all<RawImage>(`${select} WHERE i.project_id = ? AND i.fingerprint >= ? AND i.fingerprint < ? AND i.public >= ? LIMIT 2`,
        projectId, prefix, `${prefix}g`, publicOnly ? 1 : 0)
      : [];
    if (rows.length > 1) throw internal('More than one image matches');
    if (rows[0] === undefined) throw notFound('Image not found');
    return toRow(rows[0]);
  }

  find(sql: Sql, projectId: number, fingerprint: string): ImageRow | undefined {
    const raw = sql.get<RawImage>(`${select} WHERE i.project_id = ? AND i.fingerprint = ?`, projectId, fingerprint);
    return raw && toRow(raw);
  }

  findById(sql: Sql, id: number): ImageRow | undefined {
    const raw = sql.get<RawImage>(`${select} WHERE i.id = ?`, id);
    return raw && toRow(raw);
  }

  /** Any project's row: they all share the files. */
  findAnywhere(sql: Sql, fingerprint: string): ImageRow | undefined {
    const raw = sql.get<RawImage>(`${select} WHERE i.fingerprint = ? ORDER BY i.id LIMIT 1`, fingerprint);
    return raw && toRow(raw);
  }

  /** Members that have the files. All rows of an image name the same. */
  holders(sql: Sql, fingerprint: string): number[] {
    return sql.all<{ id: number }>('SELECT DISTINCT n.node_id AS id FROM images_nodes n JOIN images i ON i.id = n.image_id WHERE i.fingerprint = ? ORDER BY 1', fingerprint)
      .map(({ id }) => id);
  }

  holdersByFingerprint(sql: Sql): Map<string, number[]> {
    const rows = sql.all<{ fingerprint: string; holders: string }>(
      'SELECT i.fingerprint, json_group_array(DISTINCT n.node_id) AS holders FROM images i JOIN images_nodes n ON n.image_id = i.id GROUP BY i.fingerprint');
    return new Map(rows.map(({ fingerprint, holders }) => [fingerprint, JSON.parse(holders) as number[]]));
  }

  /** Members that belong to the cluster. */
  memberIds(sql: Sql): number[] {
    return sql.all<{ id: number }>("SELECT id FROM nodes WHERE state <> 'pending' ORDER BY id").map(({ id }) => id);
  }

  /** The member has the files, which serve all projects' rows. Harmless when that is known. */
  addHolder(tx: Tx, fingerprint: string, memberId: number): void {
    tx.sql.run(`INSERT INTO images_nodes (image_id, node_id) SELECT id, ? FROM images WHERE fingerprint = ?
      AND NOT EXISTS (SELECT 1 FROM images_nodes n WHERE n.image_id = images.id AND n.node_id = ?)`, memberId, fingerprint, memberId);
  }

  /** The image that was last fetched from there under that alias. Empty `type` and `architecture` match any. */
  findBySource(sql: Sql, projectId: number, source: ImageSource, architecture: string): ImageRow | undefined {
    const raw = sql.get<RawImage>(
      `${select} WHERE i.project_id = ? AND i.auto_update = 1 AND i.source ->> 'server' = ? AND i.source ->> 'protocol' = ? AND i.source ->> 'alias' = ?
         AND (? = '' OR i.type = ?) AND (? = '' OR i.architecture = ?) ORDER BY i.creation_date DESC LIMIT 1`,
      projectId, source.server, source.protocol, source.alias, source.image_type, source.image_type, architecture, architecture);
    return raw && toRow(raw);
  }

  /** Held by those that hold it for other projects; `addHolder` for who has just received it. */
  insert(tx: Tx, projectId: number, image: NewImage): number {
    const holders = this.holders(tx.sql, image.fingerprint);
    const id = tx.nextId('images');
    tx.sql.run(
      `INSERT INTO images (id, project_id, fingerprint, type, filename, size, public, auto_update, cached, architecture, creation_date,
         expiry_date, upload_date, last_use_date, properties, profiles, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id, projectId, image.fingerprint, image.type, image.filename, image.sizeBytes, Number(image.public), Number(image.autoUpdate),
      Number(image.cached), image.architecture, image.createdAt, image.expiresAt, tx.now.toISOString(),
      // A cached image counts from the day it was fetched.
      image.cached ? tx.now.toISOString() : zeroTime,
      JSON.stringify(image.properties), this.profileIds(tx, projectId, image.profiles ?? ['default']), JSON.stringify(image.source ?? {}));
    for (const memberId of holders) tx.sql.run('INSERT INTO images_nodes (image_id, node_id) VALUES (?, ?)', id, memberId);
    return id;
  }

  update(tx: Tx, image: ImageRow, changes: ImageChanges): void {
    const next = { ...image, ...changes };
    const profiles = changes.profiles === undefined ? null : this.profileIds(tx, image.projectId, changes.profiles);
    tx.sql.run(
      `UPDATE images SET filename = ?, public = ?, auto_update = ?, cached = ?, expiry_date = ?, properties = ?, source = ?,
         profiles = coalesce(?, profiles) WHERE id = ?`,
      next.filename, Number(next.public), Number(next.autoUpdate), Number(next.cached), next.expiresAt, JSON.stringify(next.properties),
      JSON.stringify(next.source ?? {}), profiles, image.id);
  }

  setLastUsed(tx: Tx, id: number): void {
    tx.sql.run('UPDATE images SET last_use_date = ? WHERE id = ?', tx.now.toISOString(), id);
  }

  /** Aliases and the list of members go with it. */
  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM images_aliases WHERE image_id = ?', id);
    tx.sql.run('DELETE FROM images_nodes WHERE image_id = ?', id);
    tx.sql.run('DELETE FROM images WHERE id = ?', id);
  }

  aliasesOf(sql: Sql, imageId: number): ImageAlias[] {
    return sql.all<ImageAlias>('SELECT name, description FROM images_aliases WHERE image_id = ? ORDER BY id', imageId);
  }

  /** By image id, for lists. */
  aliasesByImage(sql: Sql, projectId: number): Map<number, ImageAlias[]> {
    const rows = sql.all<ImageAlias & { imageId: number }>(
      'SELECT image_id AS imageId, name, description FROM images_aliases WHERE project_id = ? ORDER BY id', projectId);
    const map = new Map<number, ImageAlias[]>();
    for (const { imageId, name, description } of rows) map.set(imageId, [...(map.get(imageId) ?? []), { name, description }]);
    return map;
  }

  private profileIds(tx: Tx, projectId: number, names: readonly string[]): string {
    const owner = this.profileProject(tx.sql, projectId);
    const ids = names.map((name) => {
      const row = tx.sql.get<{ id: number }>('SELECT id FROM profiles WHERE project_id = ? AND name = ?', owner, name);
      if (row === undefined) throw invalid(`Profile '${name}' doesn't exist`);
      return row.id;
    });
    return JSON.stringify(ids);
  }

  private profileProject(sql: Sql, projectId: number): number {
    const { name, config } = sql.get<{ name: string; config: string }>('SELECT name, config FROM projects WHERE id = ?', projectId)!;
    const features = JSON.parse(config) as Record<string, string>;
    if (name === 'default' || isTrueOrEmpty(features['features.profiles'])) return projectId;
    return sql.get<{ id: number }>("SELECT id FROM projects WHERE name = 'default'")!.id;
  }
}
