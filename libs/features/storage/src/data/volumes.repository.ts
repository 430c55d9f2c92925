import { Injectable } from '@nestjs/common';
import { conflict, internal, LocalMember, notFound } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import type { Config } from '../rules/pool-config.rules.js';
import type { VolumeType } from '../rules/names.rules.js';

/** A volume as the API names it. */
export interface VolumeKey {
  readonly pool: string;
  readonly project: string;
  readonly type: VolumeType;
  readonly name: string;
  /** The member it lies on; this one unless given. */
  readonly memberId?: number;
}

export type ContentType = 'filesystem' | 'block';

/** Only what is `Created` is shown; the others belong to operations under way. */
export type VolumeState = 'Creating' | 'Created' | 'Deleting';

export interface VolumeRow extends VolumeKey {
  readonly id: number;
  readonly description: string;
  readonly contentType: ContentType;
  readonly state: VolumeState;
  readonly createdAt: string;
  readonly location: string;
  readonly memberId: number;
  readonly config: Config;
}

export interface NewVolume {
  readonly description?: string;
  readonly config?: Config;
  readonly contentType?: ContentType;
  /** `Created` unless an operation is to make it so. */
  readonly state?: VolumeState;
}

/** What is read of a volume for lists of URLs. */
export interface ListedVolume extends VolumeKey {
  readonly memberId: number;
  readonly location: string;
}

/** Image volumes serve every project and are kept in this one. */
export const imageProject = 'default';

const select = `
SELECT v.id, p.name AS pool, j.name AS project, v.type, v.name, v.description, v.content_type AS contentType,
  v.creation_date AS createdAt, n.name AS location, v.node_id AS memberId, v.state, v.config
FROM storage_volumes v
JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id JOIN nodes n ON n.id = v.node_id`;

/** Snapshots beside their volumes, named as LXD names them: `c1/s1`. */
const selectSnapshots = `
SELECT s.id, p.name AS pool, j.name AS project, v.type, v.name || '/' || s.name AS name, s.description, v.content_type AS contentType,
  s.creation_date AS createdAt, n.name AS location, v.node_id AS memberId, v.state, s.config
FROM storage_volumes_snapshots s JOIN storage_volumes v ON v.id = s.storage_volume_id
JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id JOIN nodes n ON n.id = v.node_id`;

type RawVolume = Omit<VolumeRow, 'config'> & { config: string };

function toRow(raw: RawVolume): VolumeRow {
  return { ...raw, config: JSON.parse(raw.config) as Config };
}

@Injectable()
export class VolumesRepository {
  constructor(private readonly member: LocalMember) {}

  /** With their snapshots, on all members. */
  listByPool(sql: Sql, pool: string): VolumeRow[] {
    return sql.all<RawVolume>(`${select} WHERE p.name = ? AND v.state = 'Created' UNION ALL ${selectSnapshots} WHERE p.name = ? AND v.state = 'Created' ORDER BY type, name, project, location`, pool, pool).map(toRow);
  }

  /** Names only, for lists of URLs and for `used_by`: no JSON is parsed. With their snapshots, on all members. */
  keysByPool(sql: Sql, pool: string): ListedVolume[] {
    const columns = 'j.name AS project, v.type, v.node_id AS memberId, n.name AS location, p.name AS pool';
    const joined = 'JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id JOIN nodes n ON n.id = v.node_id WHERE p.name = ?';
    return sql.all<ListedVolume>(`SELECT ${columns}, v.name AS name FROM storage_volumes v ${joined}
      UNION ALL SELECT ${columns}, v.name || '/' || s.name AS name FROM storage_volumes_snapshots s JOIN storage_volumes v ON v.id = s.storage_volume_id ${joined}
      ORDER BY type, name, project, location`, pool, pool);
  }

  /** A project's custom volumes without their snapshots, in all pools and on all members. */
  customKeysOf(sql: Sql, project: string): ListedVolume[] {
    return sql.all<ListedVolume>(`SELECT j.name AS project, v.type, v.node_id AS memberId, n.name AS location, p.name AS pool, v.name FROM storage_volumes v
      JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id JOIN nodes n ON n.id = v.node_id
      WHERE v.type = 'custom' AND j.name = ? ORDER BY p.name, v.name, n.name`, project);
  }

  /** A member's custom volumes of which snapshots are taken by a schedule. */
  scheduled(sql: Sql, memberId: number): VolumeRow[] {
    return sql.all<RawVolume>(`${select} WHERE v.type = 'custom' AND v.state = 'Created' AND v.node_id = ? AND json_extract(v.config, '$."snapshots.schedule"') <> '' ORDER BY v.id`, memberId).map(toRow);
  }

  /** Fingerprints of images unpacked in the pool on this member. */
  imagesInPool(sql: Sql, pool: string): string[] {
    return sql.all<{ name: string }>(`SELECT v.name FROM storage_volumes v JOIN storage_pools p ON p.id = v.storage_pool_id
      WHERE p.name = ? AND v.type = 'image' AND v.node_id = ?`, pool, this.member.id).map(({ name }) => name);
  }

  /** Pools of this member that hold the image unpacked. */
  poolsWithImage(sql: Sql, fingerprint: string): string[] {
    return sql.all<{ name: string }>(`SELECT p.name FROM storage_volumes v JOIN storage_pools p ON p.id = v.storage_pool_id
      WHERE v.type = 'image' AND v.name = ? AND v.node_id = ?`, fingerprint, this.member.id).map(({ name }) => name);
  }

  /** Wherever it lies, unless the key names a member; `internal` where several members have one of that name. */
  locate(sql: Sql, key: VolumeKey): VolumeRow | undefined {
    if (key.memberId !== undefined) return this.findCreated(sql, key);
    const [row, other] = sql.all<RawVolume>(`${select} WHERE p.name = ? AND j.name = ? AND v.type = ? AND v.name = ? AND v.state = 'Created'`, key.pool, key.project, key.type, key.name);
    if (other !== undefined) throw internal(`More than one cluster member has a volume named "${key.name}". Please target a specific member`);
    return row && toRow(row);
  }

  /** As `locate`. @throws `not-found` in LXD's words, which are others where a member is named. */
  located(sql: Sql, key: VolumeKey): VolumeRow {
    const row = this.locate(sql, key);
    if (row === undefined) throw notFound(key.memberId === undefined ? 'Storage pool volume not found' : 'Storage volume not found');
    return row;
  }

  findCreated(sql: Sql, key: VolumeKey): VolumeRow | undefined {
    const row = this.find(sql, key);
    return row?.state === 'Created' ? row : undefined;
  }

  /** In whatever state. */
  find(sql: Sql, key: VolumeKey): VolumeRow | undefined {
    const raw = sql.get<RawVolume>(`${select} WHERE p.name = ? AND j.name = ? AND v.type = ? AND v.name = ? AND v.node_id = ?`,
      key.pool, key.project, key.type, key.name, key.memberId ?? this.member.id);
    return raw && toRow(raw);
  }

  /** One that is shown, whatever its name is by now. */
  findById(sql: Sql, id: number): VolumeRow | undefined {
    const raw = sql.get<RawVolume>(`${select} WHERE v.id = ? AND v.state = 'Created'`, id);
    return raw && toRow(raw);
  }

  get(sql: Sql, key: VolumeKey): VolumeRow {
    const row = this.find(sql, key);
    if (row === undefined) throw notFound('Storage pool volume not found');
    return row;
  }

  insert(tx: Tx, key: VolumeKey, content: NewVolume = {}): void {
    if (this.find(tx.sql, key) !== undefined) throw conflict('Volume by that name already exists');
    const { changes } = tx.sql.run(
      `INSERT INTO storage_volumes (id, storage_pool_id, node_id, project_id, type, name, description, content_type, creation_date, state, config)
       SELECT ?, p.id, ?, j.id, ?, ?, ?, ?, ?, ?, ? FROM storage_pools p, projects j WHERE p.name = ? AND j.name = ?`,
      tx.nextId('storage_volumes'), key.memberId ?? this.member.id, key.type, key.name, content.description ?? '', content.contentType ?? 'filesystem',
      tx.now.toISOString(), content.state ?? 'Created', JSON.stringify(content.config ?? {}), key.pool, key.project);
    if (changes === 0) throw notFound('Project not found');
  }

  update(tx: Tx, id: number, content: { description: string; config: Config }): void {
    tx.sql.run('UPDATE storage_volumes SET description = ?, config = ? WHERE id = ?', content.description, JSON.stringify(content.config), id);
  }

  setState(tx: Tx, id: number, state: VolumeState): void {
    tx.sql.run('UPDATE storage_volumes SET state = ? WHERE id = ?', state, id);
  }

  rename(tx: Tx, key: VolumeKey, newName: string): void {
    if (this.find(tx.sql, { ...key, name: newName }) !== undefined) throw conflict('Volume by that name already exists');
    tx.sql.run('UPDATE storage_volumes SET name = ? WHERE id = ?', newName, this.get(tx.sql, key).id);
  }

  /** Absent is success. */
  delete(tx: Tx, key: VolumeKey): void {
    const row = this.find(tx.sql, key);
    if (row !== undefined) tx.sql.run('DELETE FROM storage_volumes WHERE id = ?', row.id);
  }

  /** Projects whose profiles have a disk on the pool, with the profiles' names. */
  profilesOnPool(sql: Sql, pool: string): { project: string; name: string }[] {
    return sql.all(`SELECT DISTINCT j.name AS project, f.name FROM profiles f JOIN projects j ON j.id = f.project_id, json_each(f.devices) d
      WHERE json_extract(d.value, '$.type') = 'disk' AND json_extract(d.value, '$.pool') = ?`, pool);
  }

  /** Profiles of any project with a disk of that pool and source. */
  profilesWithVolume(sql: Sql, pool: string, source: string): { id: number; project: string; name: string; devices: string }[] {
    return sql.all(`SELECT DISTINCT f.id, j.name AS project, f.name, f.devices FROM profiles f JOIN projects j ON j.id = f.project_id, json_each(f.devices) d
      WHERE json_extract(d.value, '$.type') = 'disk' AND json_extract(d.value, '$.pool') = ? AND json_extract(d.value, '$.source') = ?`, pool, source);
  }

  setProfileDevices(tx: Tx, id: number, devices: string): void {
    tx.sql.run('UPDATE profiles SET devices = ? WHERE id = ?', devices, id);
  }

  imageExists(sql: Sql, fingerprint: string): boolean {
    return sql.get('SELECT id FROM images WHERE fingerprint = ?', fingerprint) !== undefined;
  }
}
