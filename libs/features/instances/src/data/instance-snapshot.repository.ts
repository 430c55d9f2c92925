import { Injectable } from '@nestjs/common';
import type { ConfigMap, DeviceMap } from '#api-types';
import { Database, type Sql, type Tx } from '#platform/database';

/** `Creating` until its operation has succeeded, `Deleting` once its removal cannot be taken back. Only `Created` ones are shown. */
export type SnapshotRowState = 'Creating' | 'Created' | 'Deleting';

export interface SnapshotRow {
  readonly id: number;
  readonly instanceId: number;
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly stateful: boolean;
  readonly description: string;
  /** RFC 3339; null for one that is kept. */
  readonly expiresAt: string | null;
  readonly state: SnapshotRowState;
  /** The instance's own, host-derived `volatile.*` included: they say how ids lie in this very copy of the files. */
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
}

export type NewSnapshot = Pick<SnapshotRow, 'name' | 'createdAt' | 'stateful' | 'description' | 'expiresAt' | 'config' | 'devices'>;

interface RawRow {
  readonly id: number;
  readonly instance_id: number;
  readonly name: string;
  readonly creation_date: string;
  readonly stateful: number;
  readonly description: string;
  readonly expiry_date: string | null;
  readonly state: string;
  readonly config: string;
  readonly devices: string;
}

const select = 'SELECT s.* FROM instances_snapshots s';
/** LXD's time of what never expires, which a repair by hand may have written. */
const never = '0001-01-01T00:00:00Z';

/** Rows of snapshots of instances. They end with their instance's. Decisions read through the transaction, lists the committed state. */
@Injectable()
export class InstanceSnapshotRepository {
  constructor(private readonly database: Database) {}

  /** Oldest first, all states. */
  listByInstance(instanceId: number, sql: Sql = this.database.read): SnapshotRow[] {
    return sql.all<RawRow>(`${select} WHERE s.instance_id = ? ORDER BY s.id`, instanceId).map(fromRaw);
  }

  /** Of several instances at once, by the instance's id. */
  listByInstances(ids: readonly number[]): Map<number, SnapshotRow[]> {
    const rows = this.database.read.all<RawRow>(`${select} WHERE s.instance_id IN (SELECT value FROM json_each(?)) ORDER BY s.id`, JSON.stringify(ids));
    const found = new Map<number, SnapshotRow[]>();
    for (const raw of rows) found.set(raw.instance_id, [...(found.get(raw.instance_id) ?? []), fromRaw(raw)]);
    return found;
  }

  find(instanceId: number, name: string, sql: Sql = this.database.read): SnapshotRow | undefined {
    const raw = sql.get<RawRow>(`${select} WHERE s.instance_id = ? AND s.name = ?`, instanceId, name);
    return raw && fromRaw(raw);
  }

  /** Those of a member's instances whose time is over, with the instance's id. */
  listExpired(memberId: number, now: string): SnapshotRow[] {
    return this.database.read.all<RawRow>(
      `${select} JOIN instances i ON i.id = s.instance_id
       WHERE i.node_id = ? AND s.state = 'Created' AND s.expiry_date IS NOT NULL AND s.expiry_date <> ? AND julianday(s.expiry_date) <= julianday(?) ORDER BY s.id`, memberId, never, now).map(fromRaw);
  }

  /** The unique constraint on instance and name is the caller's to translate. */
  insert(tx: Tx, instanceId: number, snapshot: NewSnapshot, state: SnapshotRowState): void {
    tx.sql.run(
      `INSERT INTO instances_snapshots (id, instance_id, name, creation_date, stateful, description, expiry_date, state, config, devices)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      tx.nextId('instances_snapshots'), instanceId, snapshot.name, snapshot.createdAt, snapshot.stateful ? 1 : 0, snapshot.description, snapshot.expiresAt, state,
      JSON.stringify(snapshot.config), JSON.stringify(snapshot.devices));
  }

  setState(tx: Tx, id: number, state: SnapshotRowState): void {
    tx.sql.run('UPDATE instances_snapshots SET state = ? WHERE id = ? AND state <> ?', state, id, state);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE instances_snapshots SET name = ? WHERE id = ?', name, id);
  }

  setDevices(tx: Tx, id: number, devices: Readonly<DeviceMap>): void {
    tx.sql.run('UPDATE instances_snapshots SET devices = ? WHERE id = ?', JSON.stringify(devices), id);
  }

  setExpiry(tx: Tx, id: number, expiresAt: string | null): void {
    tx.sql.run('UPDATE instances_snapshots SET expiry_date = ? WHERE id = ?', expiresAt, id);
  }

  /** Absent is success. */
  remove(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM instances_snapshots WHERE id = ?', id);
  }
}

function fromRaw(raw: RawRow): SnapshotRow {
  return {
    id: raw.id, instanceId: raw.instance_id, name: raw.name, createdAt: raw.creation_date, stateful: raw.stateful !== 0, description: raw.description,
    expiresAt: raw.expiry_date === never ? null : raw.expiry_date, state: raw.state as SnapshotRowState,
    config: JSON.parse(raw.config) as ConfigMap, devices: JSON.parse(raw.devices) as DeviceMap,
  };
}
