import { Injectable } from '@nestjs/common';
import { expandProfiles, type Config, type Devices } from '#config-schema';
import { parseByteSize } from '#kernel';
import type { Sql, Tx } from '#platform/database';

export interface ProjectRow {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
}

/** What the instances, networks and volumes of a project add up to. Bytes for `disk` and `memory`. */
export interface ProjectTotals {
  readonly containers: number;
  readonly virtualMachines: number;
  readonly networks: number;
  readonly cpu: number;
  readonly memory: number;
  readonly processes: number;
  readonly disk: number;
}

interface RawRow {
  id: number;
  name: string;
  description: string;
  config: string;
}

const toRow = (raw: RawRow): ProjectRow => ({ ...raw, config: JSON.parse(raw.config) });

/** Rows of `projects`, and what must be known about the rows that belong to one. */
@Injectable()
export class ProjectsRepository {
  find(sql: Sql, name: string): ProjectRow | undefined {
    const raw = sql.get<RawRow>('SELECT id, name, description, config FROM projects WHERE name = ?', name);
    return raw === undefined ? undefined : toRow(raw);
  }

  list(sql: Sql): ProjectRow[] {
    return sql.all<RawRow>('SELECT id, name, description, config FROM projects ORDER BY name').map(toRow);
  }

  insert(tx: Tx, project: Omit<ProjectRow, 'id'>): ProjectRow {
    const row = { id: tx.nextId('projects'), ...project };
    tx.sql.run('INSERT INTO projects (id, name, description, config) VALUES (?, ?, ?, ?)', row.id, row.name, row.description, JSON.stringify(row.config));
    return row;
  }

  update(tx: Tx, id: number, values: Pick<ProjectRow, 'description' | 'config'>): void {
    tx.sql.run('UPDATE projects SET description = ?, config = ? WHERE id = ?', values.description, JSON.stringify(values.config), id);
  }

  /** Certificates name projects in their list, so they follow. */
  rename(tx: Tx, row: ProjectRow, newName: string): void {
    tx.sql.run('UPDATE projects SET name = ? WHERE id = ?', newName, row.id);
    this.rewriteCertificates(tx, row.name, (projects) => projects.map((project) => (project === row.name ? newName : project)));
  }

  delete(tx: Tx, row: ProjectRow): void {
    tx.sql.run('DELETE FROM projects WHERE id = ?', row.id);
    this.rewriteCertificates(tx, row.name, (projects) => projects.filter((project) => project !== row.name));
  }

  /**
   * Whether rows other than profiles hang on the project. Deleting it would delete them with it, so this does not rely on every feature
   * having told of its users.
   */
  hasContent(sql: Sql, id: number): boolean {
    return ['instances', 'images', 'storage_volumes', 'networks'].some((table) => sql.get(`SELECT 1 FROM ${table} WHERE project_id = ? LIMIT 1`, id) !== undefined);
  }

  totals(sql: Sql, id: number): ProjectTotals {
    const instances = sql.all<{ type: string; profiles: string; config: string; devices: string }>('SELECT type, profiles, config, devices FROM instances WHERE project_id = ?', id);
    const totals = { containers: 0, virtualMachines: 0, networks: 0, cpu: 0, memory: 0, processes: 0, disk: this.customVolumeBytes(sql, id) };
    totals.networks = sql.get<{ n: number }>('SELECT count(*) AS n FROM networks WHERE project_id = ?', id)?.n ?? 0;
    const profiles = this.profiles(sql);
    for (const instance of instances) {
      const ids = JSON.parse(instance.profiles) as number[];
      const used = ids.map((profile) => profiles.get(profile)).filter((profile) => profile !== undefined);
      const { config, devices } = expandProfiles(used, JSON.parse(instance.config) as Config, JSON.parse(instance.devices) as Devices);
      if (instance.type === 'container') totals.containers++;
      else totals.virtualMachines++;
      totals.cpu += count(config['limits.cpu']);
      totals.memory += bytes(config['limits.memory']);
      totals.processes += count(config['limits.processes']);
      totals.disk += Object.values(devices).reduce((sum, device) => sum + (device['type'] === 'disk' ? bytes(device['size']) : 0), 0);
    }
    return totals;
  }

  private profiles(sql: Sql): Map<number, { config: Config; devices: Devices }> {
    const rows = sql.all<{ id: number; config: string; devices: string }>('SELECT id, config, devices FROM profiles');
    return new Map(rows.map((row) => [row.id, { config: JSON.parse(row.config) as Config, devices: JSON.parse(row.devices) as Devices }]));
  }

  private customVolumeBytes(sql: Sql, id: number): number {
    const volumes = sql.all<{ config: string }>("SELECT config FROM storage_volumes WHERE project_id = ? AND type = 'custom'", id);
    return volumes.reduce((sum, volume) => sum + bytes((JSON.parse(volume.config) as Config)['size']), 0);
  }

  private rewriteCertificates(tx: Tx, project: string, change: (projects: string[]) => string[]): void {
    for (const row of tx.sql.all<{ id: number; projects: string }>('SELECT id, projects FROM certificates')) {
      const projects = JSON.parse(row.projects) as string[];
      if (projects.includes(project)) tx.sql.run('UPDATE certificates SET projects = ? WHERE id = ?', JSON.stringify(change(projects)), row.id);
    }
  }
}

/** A plain number; a set of CPUs or an unset key counts nothing. */
function count(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}

/** A percentage or an unset key counts nothing. */
function bytes(text: string | undefined): number {
  return text === undefined || text.endsWith('%') ? 0 : parseByteSize(text);
}
