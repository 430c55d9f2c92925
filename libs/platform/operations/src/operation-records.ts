import { Injectable } from '@nestjs/common';
import type { OperationRecord } from '#api-types';
import { Database } from '#platform/database';

interface Raw extends Omit<OperationRecord, 'requestor' | 'metadata'> {
  readonly requestor: string;
  readonly metadata: string;
}

/** Newest of one object that are answered. */
const limit = 500;

/** Who did what to an object, and how it ended: of all members, kept until newer ones take their place. */
@Injectable()
export class OperationRecords {
  constructor(private readonly database: Database) {}

  /** Of the object with this URL, oldest first; ended ones only. */
  of(project: string, source: string): OperationRecord[] {
    const rows = this.database.read.all<Raw>(`
      SELECT o.id, o.kind, o.description, o.status, o.error AS err, o.created_at, o.updated_at, coalesce(n.name, '') AS location, o.requestor, o.metadata
      FROM operations o LEFT JOIN projects p ON p.id = o.project_id LEFT JOIN nodes n ON n.id = o.node_id
      WHERE coalesce(p.name, 'default') = ? AND o.class = 'task' AND o.status NOT IN ('Pending', 'Running', 'Cancelling')
        AND instr(o.resources, ?) > 0 AND EXISTS (SELECT 1 FROM json_tree(o.resources) WHERE atom = ?)
      ORDER BY o.created_at DESC, o.id DESC LIMIT ${limit}`, project, JSON.stringify(source), source);
    return rows.map(({ requestor, metadata, ...row }) => ({ ...row, requestor: JSON.parse(requestor) as OperationRecord['requestor'], metadata: JSON.parse(metadata) as Record<string, unknown> })).reverse();
  }
}
