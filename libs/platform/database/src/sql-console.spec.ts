import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { openTemporaryDatabase, type OpenDatabase } from './index.js';

const ctx = internalContext();
let db: OpenDatabase;
beforeEach(async () => { db = await openTemporaryDatabase(); });
afterEach(() => db.close());

const query = async (text: string, database = 'global') => (await db.console.query(ctx, { database, query: text })).results;
const rows = async (text: string) => (await query(text))?.at(-1)?.rows ?? [];

describe('SqlConsole.query', () => {
  it('answers in the shape LXD does', async () => {
    expect(await query("SELECT id, name FROM projects; UPDATE profiles SET description = 'x'; SELECT id FROM projects WHERE id = 99")).toEqual([
      { type: 'select', columns: ['id', 'name'], rows: [[1, 'default']], rows_affected: 0 },
      { type: 'exec', columns: null, rows: null, rows_affected: 1 },
      { type: 'select', columns: ['id'], rows: [], rows_affected: 0 },
    ]);
    expect(await query("SELECT 1.5, NULL, x'6162', 'a;b' -- end; of it\n;")).toEqual([
      { type: 'select', columns: ['1.5', 'NULL', "x'6162'", "'a;b'"], rows: [[1.5, null, 'ab', 'a;b']], rows_affected: 0 },
    ]);
    expect(await query('.sync')).toEqual([]);
  });

  it('runs all statements or none, as one entry of the log', async () => {
    const index = db.database.head.index;
    await expect(query("INSERT INTO config (key, value) VALUES ('a', '1'); SELEC")).rejects.toMatchObject({ kind: 'internal', message: 'Failed to exec query: near "SELEC": syntax error' });
    expect(await rows('SELECT * FROM config')).toEqual([]);

    await query("INSERT INTO config (key, value) VALUES ('a', '1'); INSERT INTO config (key, value) VALUES ('b', '2')");
    expect(await rows('SELECT value FROM config')).toEqual([['1'], ['2']]);
    expect(db.database.head.index).toBe(index + 1);
  });

  it('refuses what LXD refuses, in its words', async () => {
    await expect(query('')).rejects.toMatchObject({ kind: 'invalid', message: 'No query provided' });
    await expect(query('SELECT 1', 'foo')).rejects.toMatchObject({ kind: 'invalid', message: 'Invalid database' });
    await expect(query('SELECT * FROM nowhere')).rejects.toMatchObject({ message: 'Failed to execute query: no such table: nowhere' });
  });

  it('refuses changes of the schema, which would stay on this member', async () => {
    await expect(query('DROP TABLE projects')).rejects.toThrow('only rows can be changed');
    await expect(query('DELETE FROM local_log')).rejects.toThrow('only rows can be changed');
  });

  it('takes double-quoted texts as LXD does, unless they name a column', async () => {
    await query('INSERT INTO config (key, value) VALUES ("user.x", "it\'s")');

    expect(await rows('SELECT "key", value FROM config WHERE "key" = "user.x"')).toEqual([['user.x', "it's"]]);
  });

  it('serves the local database, with this member\'s settings as the table config', async () => {
    db.localStore.set('config', 'core.https_address', ':8443');
    await query("UPDATE config SET value = ':9443' WHERE key = 'core.https_address'; INSERT INTO config (key, value) VALUES ('a', 'b')", 'local');

    expect(await query('SELECT key, value FROM config ORDER BY key; SELECT * FROM raft_nodes', 'local')).toMatchObject([{ rows: [['a', 'b'], ['core.https_address', ':9443']] }, { rows: [] }]);
    expect(db.localStore.all('config')).toEqual(new Map([['a', 'b'], ['core.https_address', ':9443']]));
    await expect(query("INSERT INTO config (key, value) VALUES ('c', 'd'); SELEC", 'local')).rejects.toThrow('syntax error');
    expect(db.localStore.get('config', 'c')).toBeUndefined();
  });
});

describe('SqlConsole.dump', () => {
  it('writes text that rebuilds the tables', async () => {
    await query("INSERT INTO config (key, value) VALUES ('a', 'it''s')");
    const { text } = db.console.dump('global', false);
    const copy = new DatabaseSync(':memory:');
    copy.exec(text);

    expect(copy.prepare('SELECT * FROM config').all()).toEqual([{ key: 'a', value: "it's" }]);
    expect(copy.prepare('SELECT * FROM projects_config').all()).toHaveLength(4);
    expect(text).not.toContain('local_');
    expect(db.console.dump('global', true).text).not.toContain('INSERT INTO config');
    expect(db.console.dump('local', true).text).toContain('CREATE TABLE raft_nodes');
  });
});

describe('the views under LXD\'s names', () => {
  beforeEach(() => query(`
    INSERT INTO storage_pools (id, name, driver, state) VALUES (1, 'p', 'dir', 'created');
    INSERT INTO storage_pools_nodes (storage_pool_id, node_id, state) VALUES (1, 1, 'created');
    INSERT INTO profiles (id, project_id, name) VALUES (2, 1, 'web'), (3, 1, 'db');
    INSERT INTO instances (id, node_id, project_id, name, type, architecture, creation_date, last_use_date, state, profiles, config, devices)
      VALUES (7, 1, 1, 'c1', 'container', 'x86_64', '', '', 'ready', '[1]', '{"user.a":"1","user.b":"2"}',
              '{"eth0":{"type":"nic","network":"br0"},"root":{"type":"disk","path":"/","pool":"p"}}'),
             (8, 1, 1, 'c2', 'container', 'x86_64', '', '', 'ready', '[1,2]', '{}', '{}')`));

  const instance = async (column: string) => JSON.parse(String((await rows(`SELECT ${column} FROM instances WHERE id = 7`))[0]?.[0])) as unknown;

  it('have LXD\'s columns', async () => {
    const expected = {
      instances_config: 'id instance_id key value', instances_devices: 'id instance_id name type', instances_devices_config: 'id instance_device_id key value',
      instances_profiles: 'id instance_id profile_id apply_order', profiles_config: 'id profile_id key value', profiles_devices: 'id profile_id name type',
      profiles_devices_config: 'id profile_device_id key value', projects_config: 'id project_id key value', nodes_config: 'id node_id key value',
      storage_pools_config: 'id storage_pool_id node_id key value', storage_volumes_config: 'id storage_volume_id key value', networks_config: 'id network_id node_id key value',
      images_properties: 'id image_id type key value', images_source: 'id image_id server protocol certificate alias', images_profiles: 'image_id profile_id',
      certificates_projects: 'certificate_id project_id',
    };
    for (const [view, columns] of Object.entries(expected)) {
      const [result] = (await query(`SELECT * FROM ${view} LIMIT 1`)) ?? [];
      expect(new Set(result?.columns), view).toEqual(new Set(columns.split(' ')));
    }
  });

  it('change config keys', async () => {
    await query(`UPDATE instances_config SET value = 'x' WHERE key = 'user.a'; DELETE FROM instances_config WHERE instance_id = 7 AND key = 'user.b';
      INSERT INTO instances_config (instance_id, key, value) VALUES (7, 'odd."key', 5); INSERT OR REPLACE INTO instances_config (instance_id, key, value) VALUES (7, 'limits.cpu', '2')`);
    expect(await instance('config')).toEqual({ 'user.a': 'x', 'odd."key': '5', 'limits.cpu': '2' });

    await query("UPDATE instances_config SET key = 'user.' || key, instance_id = 8 WHERE instance_id = 7 AND key <> 'user.a'");
    expect(await rows('SELECT instance_id, key, value FROM instances_config')).toEqual([[7, 'user.a', 'x'], [8, 'user.odd."key', '5'], [8, 'user.limits.cpu', '2']]);
    await expect(query("INSERT INTO instances_config (instance_id, key, value) VALUES (99, 'a', 'b')")).rejects.toThrow('FOREIGN KEY constraint failed');
  });

  it('count the rows a statement changed', async () => {
    expect(await query("UPDATE instances_config SET value = 'x'")).toMatchObject([{ rows_affected: 2 }]);
    expect(await query("DELETE FROM instances_config WHERE key = 'nothing'")).toMatchObject([{ rows_affected: 0 }]);
  });

  it('change devices and their keys, many at a time', async () => {
    expect(await rows('SELECT d.name, d.type, c.key, c.value FROM instances_devices d JOIN instances_devices_config c ON c.instance_device_id = d.id ORDER BY 1, 3')).toEqual([
      ['eth0', 1, 'network', 'br0'], ['root', 2, 'path', '/'], ['root', 2, 'pool', 'p'],
    ]);

    await query(`INSERT INTO instances_devices (instance_id, name, type) VALUES (7, 'data', 2);
      INSERT INTO instances_devices_config (instance_device_id, key, value) SELECT id, 'size', '1GiB' FROM instances_devices WHERE type = 2;
      DELETE FROM instances_devices_config WHERE key IN ('path', 'network'); UPDATE instances_devices_config SET value = 'q' WHERE key = 'pool';
      UPDATE instances_devices SET name = 'eth1' WHERE name = 'eth0'`);
    expect(await instance('devices')).toEqual({ eth1: { type: 'nic' }, root: { type: 'disk', pool: 'q', size: '1GiB' }, data: { type: 'disk', size: '1GiB' } });

    await query("DELETE FROM instances_devices WHERE type = 2; UPDATE instances_devices_config SET key = 'parent'");
    expect(await instance('devices')).toEqual({ eth1: { type: 'nic' } });
  });

  it('change the profiles of an instance and keep their order', async () => {
    await query('INSERT INTO instances_profiles (instance_id, profile_id, apply_order) VALUES (7, 3, 2), (7, 2, 2)');
    expect(await rows('SELECT profile_id, apply_order FROM instances_profiles WHERE instance_id = 7 ORDER BY apply_order')).toEqual([[1, 1], [3, 2], [2, 3]]);

    await query('DELETE FROM instances_profiles WHERE profile_id = 1; UPDATE instances_profiles SET profile_id = 1 WHERE profile_id = 3');
    expect(await instance('profiles')).toEqual([1, 2]);
  });

  it('change what holds on all members and what holds on one', async () => {
    await query(`INSERT INTO storage_pools_config (storage_pool_id, node_id, key, value) VALUES (1, NULL, 'rsync.bwlimit', '1'), (1, 1, 'source', '/a');
      UPDATE storage_pools_config SET value = '/b' WHERE key = 'source'`);
    expect(await rows('SELECT node_id, key, value FROM storage_pools_config ORDER BY node_id')).toEqual([[null, 'rsync.bwlimit', '1'], [1, 'source', '/b']]);
    expect(await rows('SELECT config FROM storage_pools UNION ALL SELECT config FROM storage_pools_nodes')).toEqual([['{"rsync.bwlimit":"1"}'], ['{"source":"/b"}']]);

    await query("UPDATE storage_pools_config SET node_id = NULL WHERE key = 'source'; DELETE FROM storage_pools_config WHERE key = 'rsync.bwlimit'");
    expect(await rows('SELECT node_id, key, value FROM storage_pools_config')).toEqual([[null, 'source', '/b']]);
  });

  it('change sources, properties and profiles of images, and projects of certificates', async () => {
    await query(`INSERT INTO images (id, project_id, fingerprint, type, filename, size, architecture, creation_date, expiry_date, upload_date, last_use_date)
        VALUES (1, 1, 'f', 'container', 'x', 1, 'x86_64', '', '', '', '');
      INSERT INTO images_source (image_id, server, protocol, certificate, alias) VALUES (1, 'https://s', 2, '', 'a');
      INSERT INTO images_properties (image_id, type, key, value) VALUES (1, 0, 'os', 'debian'); INSERT INTO images_profiles (image_id, profile_id) VALUES (1, 2), (1, 1);
      INSERT INTO certificates (id, fingerprint, type, name, certificate) VALUES (1, 'f', 'client', 'n', 'c'); INSERT INTO certificates_projects VALUES (1, 1)`);

    expect(await rows('SELECT source, properties, profiles FROM images')).toEqual([
      ['{"server":"https://s","protocol":"simplestreams","certificate":"","alias":"a"}', '{"os":"debian"}', '[2,1]'],
    ]);
    expect(await rows('SELECT * FROM images_source')).toEqual([[1, 1, 'https://s', 2, '', 'a']]);
    expect(await rows('SELECT * FROM images_profiles ORDER BY 2')).toEqual([[1, 1], [1, 2]]);
    expect(await rows('SELECT projects FROM certificates')).toEqual([['["default"]']]);
    await query('DELETE FROM images_profiles WHERE profile_id = 2; DELETE FROM images_source; DELETE FROM certificates_projects');
    expect(await rows('SELECT source, profiles FROM images')).toEqual([['{}', '[1]']]);
  });

  it('are replicated through their tables', async () => {
    const changed: string[] = [];
    db.feed.subscribe(['instances', 'instances_config'], (changes) => changed.push(...changes.map(({ table, op }) => `${table} ${op}`)));
    await query("UPDATE instances_config SET value = 'x' WHERE key = 'user.a'");

    expect(changed).toEqual(['instances update']);
  });
});
