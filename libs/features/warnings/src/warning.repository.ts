import { Injectable } from '@nestjs/common';
import { Database, type Tx } from '#platform/database';

export interface WarningRow {
  readonly uuid: string;
  readonly project: string | null;
  /** Name of the member that wrote it; null when that is gone. */
  readonly location: string | null;
  readonly type_code: number;
  readonly status: number;
  readonly first_seen_date: string;
  readonly last_seen_date: string;
  readonly last_message: string;
  readonly count: number;
  /** Path of what it is about; null for nothing, or nothing with a path. */
  readonly entity_url: string | null;
}

const columns = `warnings.uuid, projects.name AS project, nodes.name AS location, warnings.type_code, warnings.status, warnings.first_seen_date, warnings.last_seen_date,
  warnings.last_message, warnings.count,
  CASE warnings.entity_type
    WHEN 'instance' THEN (SELECT '/1.0/instances/' || o.name || CASE p.name WHEN 'default' THEN '' ELSE '?project=' || p.name END FROM instances o JOIN projects p ON p.id = o.project_id WHERE o.id = warnings.entity_id)
    WHEN 'profile' THEN (SELECT '/1.0/profiles/' || o.name || CASE p.name WHEN 'default' THEN '' ELSE '?project=' || p.name END FROM profiles o JOIN projects p ON p.id = o.project_id WHERE o.id = warnings.entity_id)
    WHEN 'project' THEN (SELECT '/1.0/projects/' || name FROM projects WHERE id = warnings.entity_id)
  END AS entity_url`;
const joined = 'warnings LEFT JOIN projects ON projects.id = warnings.project_id LEFT JOIN nodes ON nodes.id = warnings.node_id';

@Injectable()
export class WarningRepository {
  constructor(private readonly database: Database) {}

  /** All, or those of one project. */
  list(project: string | null): WarningRow[] {
    const { read } = this.database;
    return project === null
      ? read.all<WarningRow>(`SELECT ${columns} FROM ${joined} ORDER BY warnings.uuid`)
      : read.all<WarningRow>(`SELECT ${columns} FROM ${joined} WHERE projects.name = ? ORDER BY warnings.uuid`, project);
  }

  find(uuid: string, tx?: Tx): WarningRow | undefined {
    return (tx?.sql ?? this.database.read).get<WarningRow>(`SELECT ${columns} FROM ${joined} WHERE warnings.uuid = ?`, uuid);
  }

  setStatus(tx: Tx, uuid: string, status: number): void {
    tx.sql.run('UPDATE warnings SET status = ?, updated_date = ? WHERE uuid = ?', status, tx.now.toISOString(), uuid);
  }

  remove(tx: Tx, uuid: string): void {
    tx.sql.run('DELETE FROM warnings WHERE uuid = ?', uuid);
  }
}
