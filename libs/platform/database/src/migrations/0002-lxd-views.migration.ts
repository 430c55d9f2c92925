import type { Migration } from './migration.js';

/**
 * Schema level 2: LXD's key/value child tables as views over the JSON columns, accepting writes, so that repair scripts written for
 * `lxd sql global` work. Names and columns are those of LXD 5.0.2's global database.
 *
 * Ids are made up from the parent's id and the place of the key, so they hold while keys of one object are changed, and change when a
 * key or device before them goes. An INSERT of a key that is there replaces it, as `INSERT OR REPLACE` would.
 */

/** Ids per parent row. */
const span = 65536;

const sides = { insert: 'NEW', update: 'NEW', delete: 'OLD' } as const;

function trigger(view: string, event: keyof typeof sides, body: string): string {
  return `CREATE TRIGGER ${view}_${event} INSTEAD OF ${event.toUpperCase()} ON ${view} BEGIN\n${body}\nEND;\n`;
}

function mustExist(table: string, id: string): string {
  return `  SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed') WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE id = ${id});\n`;
}

const set = (json: string, side: string): string => `json_patch(${json}, json_object(${side}.key, CAST(${side}.value AS TEXT)))`;
const unset = (json: string): string => `json_patch(${json}, json_object(OLD.key, NULL))`;

/** `{"key": "value"}` in a column of `table`, one row per key. */
export function keyValues(view: string, table: string, parent: string, json: string, extra: { column: string; value: string } | null = null): string {
  const own = (side: string): string => `WHERE id = ${side}.${parent}`;
  const columns = ['id', parent, ...(extra ? [extra.column] : []), 'key', 'value'];
  const values = [`p.id * ${span} + row_number() OVER (PARTITION BY p.id ORDER BY e.id)`, 'p.id', ...(extra ? [extra.value] : []), 'e.key', 'e.atom'];
  return `CREATE VIEW ${view} (${columns.join(', ')}) AS SELECT ${values.join(', ')} FROM ${table} p, json_each(p.${json}) e;\n`
    + trigger(view, 'insert', `${mustExist(table, `NEW.${parent}`)}  UPDATE ${table} SET ${json} = ${set(json, 'NEW')} ${own('NEW')};`)
    + trigger(view, 'delete', `  UPDATE ${table} SET ${json} = ${unset(json)} ${own('OLD')};`)
    + trigger(view, 'update', `${mustExist(table, `NEW.${parent}`)}  UPDATE ${table} SET ${json} = ${unset(json)} ${own('OLD')} AND (OLD.key <> NEW.key OR OLD.${parent} <> NEW.${parent});
  UPDATE ${table} SET ${json} = ${set(json, 'NEW')} ${own('NEW')};`);
}

/** As `keyValues`, of a table and its rows per member: `node_id` is NULL for what holds on all members. */
function memberKeyValues(view: string, table: string, nodes: string, parent: string): string {
  const id = (node: string, order: string): string => `(p.${order} * ${span} + ${node}) * ${span} + row_number() OVER (PARTITION BY p.${order}, ${node} ORDER BY e.id)`;
  const change = (side: string, value: string, also = ''): string => `  UPDATE ${table} SET config = ${value} WHERE ${side}.node_id IS NULL AND id = ${side}.${parent}${also};
  UPDATE ${nodes} SET config = ${value} WHERE node_id = ${side}.node_id AND ${parent} = ${side}.${parent}${also};`;
  const renamed = ` AND (OLD.key <> NEW.key OR OLD.${parent} <> NEW.${parent} OR OLD.node_id IS NOT NEW.node_id)`;
  return `CREATE VIEW ${view} (id, ${parent}, node_id, key, value) AS
  SELECT ${id('0', 'id')}, p.id, NULL, e.key, e.atom FROM ${table} p, json_each(p.config) e
  UNION ALL SELECT ${id('p.node_id', parent)}, p.${parent}, p.node_id, e.key, e.atom FROM ${nodes} p, json_each(p.config) e;\n`
    + trigger(view, 'insert', mustExist(table, `NEW.${parent}`) + change('NEW', set('config', 'NEW')))
    + trigger(view, 'delete', change('OLD', unset('config')))
    + trigger(view, 'update', `${mustExist(table, `NEW.${parent}`)}${change('OLD', unset('config'), renamed)}\n${change('NEW', set('config', 'NEW'))}`);
}

/** LXD's numbers of device types. */
const deviceTypes = ['none', 'nic', 'disk', 'unix-char', 'unix-block', 'usb', 'gpu', 'infiniband', 'proxy', 'unix-hotplug', 'tpm', 'pci'];
const typeNumber = (text: string): string => `CASE ${text} ${deviceTypes.map((name, number) => `WHEN '${name}' THEN ${number}`).join(' ')} ELSE 0 END`;
const typeName = (number: string): string => `CASE ${number} ${deviceTypes.map((name, value) => `WHEN ${value} THEN '${name}'`).join(' ')} ELSE 'none' END`;

/** `{"eth0": {"type": "nic", "network": "br0"}}`: a view of devices, and one of their keys without `type`. */
export function devices(table: string, parent: string, deviceColumn: string): string {
  const view = `${table}_devices`;
  const config = `${view}_config`;
  const owner = (side: string): string => `id = ${side}.${deviceColumn} / ${span}`;
  const device = (side: string): string => `(SELECT name FROM ${view} WHERE id = ${side}.${deviceColumn})`;
  const patched = (side: string, value: string): string => `json_patch(devices, json_object(${device(side)}, json_object(${side}.key, ${value})))`;
  return `CREATE VIEW ${view} (id, ${parent}, name, type) AS
  SELECT p.id * ${span} + row_number() OVER (PARTITION BY p.id ORDER BY e.id), p.id, e.key, ${typeNumber("e.value ->> 'type'")} FROM ${table} p, json_each(p.devices) e;
CREATE VIEW ${config} (id, ${deviceColumn}, key, value) AS
  SELECT d.id * ${span} + row_number() OVER (PARTITION BY d.id ORDER BY e.id), d.id, e.key, e.atom
    FROM ${view} d JOIN ${table} p ON p.id = d.${parent}, json_each(p.devices -> d.name) e WHERE e.key <> 'type';\n`
    + trigger(view, 'insert', `${mustExist(table, `NEW.${parent}`)}  UPDATE ${table} SET devices = json_patch(devices, json_object(NEW.name, json_object('type', ${typeName('NEW.type')}))) WHERE id = NEW.${parent};`)
    + trigger(view, 'delete', `  UPDATE ${table} SET devices = json_patch(devices, json_object(OLD.name, NULL)) WHERE id = OLD.${parent};`)
    + trigger(view, 'update', `  UPDATE ${table} SET devices = json_patch(json_patch(devices, json_object(OLD.name, NULL)),
    json_object(NEW.name, json_patch(devices -> OLD.name, json_object('type', ${typeName('NEW.type')})))) WHERE id = OLD.${parent};`)
    + trigger(config, 'insert', `${mustExist(view, `NEW.${deviceColumn}`)}  UPDATE ${table} SET devices = ${patched('NEW', 'CAST(NEW.value AS TEXT)')} WHERE ${owner('NEW')};`)
    + trigger(config, 'delete', `  UPDATE ${table} SET devices = ${patched('OLD', 'NULL')} WHERE ${owner('OLD')};`)
    + trigger(config, 'update', `${mustExist(view, `NEW.${deviceColumn}`)}  UPDATE ${table} SET devices = ${patched('OLD', 'NULL')} WHERE ${owner('OLD')} AND (OLD.key <> NEW.key OR OLD.${deviceColumn} <> NEW.${deviceColumn});
  UPDATE ${table} SET devices = ${patched('NEW', 'CAST(NEW.value AS TEXT)')} WHERE ${owner('NEW')};`);
}

interface ListColumns {
  /** Whether LXD's table has an id of its own. */
  readonly id?: boolean;
  readonly parent: string;
  readonly other: string;
  /** Whether it says the order. */
  readonly order?: boolean;
}

/** `[3, 1]` or `["web", "default"]`: a list of rows of `target`, by id or by name, as a view of pairs of ids. */
function list(view: string, table: string, json: string, by: 'id' | 'name', columns: ListColumns, target: string, join: string): string {
  const { parent, other } = columns;
  const item = (side: string): string => (by === 'id' ? `${side}.${other}` : `(SELECT name FROM ${target} WHERE id = ${side}.${other})`);
  const kept = `SELECT e.atom AS item, e.key + 1 AS place, 0 AS late FROM json_each(${table}.${json}) e`;
  const added = `SELECT ${item('NEW')}, ${columns.order ? 'NEW.apply_order' : '9223372036854775807'}, 1`;
  const ordered = (rows: string): string => `(SELECT json_group_array(item ORDER BY place, late) FROM (${rows}))`;
  return `CREATE VIEW ${view} (${columns.id ? 'id, ' : ''}${parent}, ${other}${columns.order ? ', apply_order' : ''}) AS
  SELECT ${columns.id ? `p.id * ${span} + e.key + 1, ` : ''}p.id, t.id${columns.order ? ', e.key + 1' : ''} FROM ${table} p, json_each(p.${json}) e ${join};\n`
    + trigger(view, 'insert', `${mustExist(table, `NEW.${parent}`)}${mustExist(target, `NEW.${other}`)}  UPDATE ${table} SET ${json} = ${ordered(`${kept} WHERE e.atom <> ${item('NEW')} UNION ALL ${added}`)} WHERE id = NEW.${parent};`)
    + trigger(view, 'delete', `  UPDATE ${table} SET ${json} = ${ordered(`${kept} WHERE e.atom <> ${item('OLD')}`)} WHERE id = OLD.${parent};`)
    + trigger(view, 'update', `${mustExist(target, `NEW.${other}`)}  UPDATE ${table} SET ${json} = ${ordered(`${kept} WHERE e.atom NOT IN (${item('OLD')}, ${item('NEW')}) UNION ALL ${added}`)} WHERE id = OLD.${parent};`);
}

/** LXD's numbers of image protocols. */
const protocolNumber = "CASE p.source ->> 'protocol' WHEN 'direct' THEN 1 WHEN 'simplestreams' THEN 2 ELSE 0 END";
const protocolName = "CASE NEW.protocol WHEN 1 THEN 'direct' WHEN 2 THEN 'simplestreams' ELSE 'lxd' END";
const newSource = `json_patch(source, json_object('server', NEW.server, 'protocol', ${protocolName}, 'certificate', NEW.certificate, 'alias', NEW.alias))`;

const imageSource = `CREATE VIEW images_source (id, image_id, server, protocol, certificate, alias) AS
  SELECT p.id, p.id, p.source ->> 'server', ${protocolNumber}, coalesce(p.source ->> 'certificate', ''), coalesce(p.source ->> 'alias', '')
    FROM images p WHERE p.source ->> 'server' <> '';
${trigger('images_source', 'insert', `${mustExist('images', 'NEW.image_id')}  UPDATE images SET source = ${newSource} WHERE id = NEW.image_id;`)}${
  trigger('images_source', 'update', `  UPDATE images SET source = ${newSource} WHERE id = OLD.image_id;`)}${
  trigger('images_source', 'delete', "  UPDATE images SET source = '{}' WHERE id = OLD.image_id;")}`;

export const lxdViews: Migration = {
  level: 2,
  sql: [
    keyValues('projects_config', 'projects', 'project_id', 'config'),
    keyValues('nodes_config', 'nodes', 'node_id', 'config'),
    keyValues('profiles_config', 'profiles', 'profile_id', 'config'),
    devices('profiles', 'profile_id', 'profile_device_id'),
    keyValues('instances_config', 'instances', 'instance_id', 'config'),
    devices('instances', 'instance_id', 'instance_device_id'),
    list('instances_profiles', 'instances', 'profiles', 'id', { id: true, parent: 'instance_id', other: 'profile_id', order: true }, 'profiles', 'JOIN profiles t ON t.id = e.atom'),
    memberKeyValues('storage_pools_config', 'storage_pools', 'storage_pools_nodes', 'storage_pool_id'),
    keyValues('storage_volumes_config', 'storage_volumes', 'storage_volume_id', 'config'),
    memberKeyValues('networks_config', 'networks', 'networks_nodes', 'network_id'),
    keyValues('images_properties', 'images', 'image_id', 'properties', { column: 'type', value: '0' }),
    imageSource,
    list('images_profiles', 'images', 'profiles', 'id', { parent: 'image_id', other: 'profile_id' }, 'profiles', 'JOIN profiles t ON t.id = e.atom'),
    list('certificates_projects', 'certificates', 'projects', 'name', { parent: 'certificate_id', other: 'project_id' }, 'projects', 'JOIN projects t ON t.name = e.atom'),
  ].join('\n'),
};
