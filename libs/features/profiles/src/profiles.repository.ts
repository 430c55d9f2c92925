import { Injectable } from '@nestjs/common';
import type { Config, DeviceNetwork, Devices } from '#config-schema';
import type { Sql, Tx } from '#platform/database';

export interface ProfileRow {
  readonly id: number;
  /** Name of the project it lies in. */
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly config: Config;
  readonly devices: Devices;
}

export type ProfileValues = Pick<ProfileRow, 'description' | 'config' | 'devices'>;

interface RawRow {
  id: number;
  project: string;
  name: string;
  description: string;
  config: string;
  devices: string;
}

const select = 'SELECT f.id, p.name AS project, f.name, f.description, f.config, f.devices FROM profiles f JOIN projects p ON p.id = f.project_id';
const toRow = (raw: RawRow): ProfileRow => ({ ...raw, config: JSON.parse(raw.config), devices: JSON.parse(raw.devices) });

/** Rows of `profiles`, by the project they lie in. */
@Injectable()
export class ProfilesRepository {
  find(sql: Sql, project: string, name: string): ProfileRow | undefined {
    const raw = sql.get<RawRow>(`${select} WHERE p.name = ? AND f.name = ?`, project, name);
    return raw === undefined ? undefined : toRow(raw);
  }

  list(sql: Sql, project: string): ProfileRow[] {
    return sql.all<RawRow>(`${select} WHERE p.name = ? ORDER BY f.name`, project).map(toRow);
  }

  insert(tx: Tx, project: string, name: string, values: ProfileValues): void {
    tx.sql.run(
      'INSERT INTO profiles (id, project_id, name, description, config, devices) VALUES (?, (SELECT id FROM projects WHERE name = ?), ?, ?, ?, ?)',
      tx.nextId('profiles'), project, name, values.description, JSON.stringify(values.config), JSON.stringify(values.devices),
    );
  }

  update(tx: Tx, id: number, values: ProfileValues): void {
    tx.sql.run('UPDATE profiles SET description = ?, config = ?, devices = ? WHERE id = ?', values.description, JSON.stringify(values.config), JSON.stringify(values.devices), id);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE profiles SET name = ? WHERE id = ?', name, id);
  }

  delete(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM profiles WHERE id = ?', id);
  }

  /** Networks by name, for the validation of NICs only. The networks feature builds on this one's level and cannot be asked. */
  networkLookup(sql: Sql, project: string): (name: string) => DeviceNetwork | undefined {
    return (name) => {
      const raw = sql.get<{ name: string; type: string; config: string }>(
        'SELECT n.name, n.type, n.config FROM networks n JOIN projects p ON p.id = n.project_id WHERE p.name = ? AND n.name = ?', project, name);
      return raw === undefined ? undefined : { ...raw, config: JSON.parse(raw.config) as Config };
    };
  }
}
