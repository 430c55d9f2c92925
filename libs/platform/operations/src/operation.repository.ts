import { Injectable } from '@nestjs/common';
import type { OperationClass, OperationStatus } from '#api-types';
import type { Requestor } from '#kernel';
import { Database, type Tx } from '#platform/database';
import type { LiveOperation } from './live-operation.js';

/** A stored operation under way. `outputs` has an entry for each step whose boundary was written. */
export interface OperationRow {
  readonly id: string;
  readonly memberId: number;
  readonly project: string;
  readonly kind: string;
  readonly version: number;
  readonly description: string;
  readonly status: OperationStatus;
  readonly conflictKey: string | null;
  readonly epoch: number;
  readonly cancelRequested: boolean;
  readonly committed: boolean;
  readonly createdAt: Date;
  readonly requestor: Requestor;
  readonly resources: Record<string, string[]>;
  readonly params: unknown;
  readonly steps: string[];
  readonly outputs: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
  /** Why it is being undone; empty while it goes forward. */
  readonly error: string;
}

export interface NewOperationRow {
  readonly id: string;
  readonly memberId: number;
  readonly project: string;
  readonly kind: string;
  readonly version: number;
  readonly description: string;
  readonly conflictKey: string | null;
  /** 1: claimed by the runner that wrote it; 0: for whoever the member's runner is. */
  readonly epoch: number;
  readonly requestor: Requestor;
  readonly resources: Record<string, string[]>;
  readonly params: unknown;
  readonly steps: string[];
  readonly metadata: Record<string, unknown>;
}

const live = `('Pending', 'Running', 'Cancelling')`;

interface RawRow {
  id: string; node_id: number; project: string | null; kind: string; version: number; class: OperationClass; description: string;
  status: OperationStatus; conflict_key: string | null; epoch: number; cancel_requested: number; committed: number; created_at: string;
  requestor: string; resources: string; params: string; steps: string; outputs: string; metadata: string; error: string;
}

const selectRow = `SELECT o.id, o.node_id, p.name AS project, o.kind, o.version, o.class, o.description, o.status, o.conflict_key, o.epoch,
  o.cancel_requested, o.committed, o.created_at, o.requestor, o.resources, o.params, o.steps, o.outputs, o.metadata, o.error
  FROM operations o LEFT JOIN projects p ON p.id = o.project_id`;

function toRow(raw: RawRow): OperationRow {
  return {
    id: raw.id, memberId: raw.node_id, project: raw.project ?? 'default', kind: raw.kind, version: raw.version,
    description: raw.description, status: raw.status, conflictKey: raw.conflict_key, epoch: raw.epoch,
    cancelRequested: raw.cancel_requested !== 0, committed: raw.committed !== 0, createdAt: new Date(raw.created_at),
    requestor: JSON.parse(raw.requestor), resources: JSON.parse(raw.resources), params: JSON.parse(raw.params),
    steps: JSON.parse(raw.steps), outputs: JSON.parse(raw.outputs), metadata: JSON.parse(raw.metadata), error: raw.error,
  };
}

/**
 * Rows of `operations`. Every write of a runner names the epoch it claimed, and answers false where another has claimed the row since:
 * such a runner must stop without a trace.
 */
@Injectable()
export class OperationRepository {
  constructor(private readonly database: Database) {}

  insert(tx: Tx, row: NewOperationRow): void {
    const now = tx.now.toISOString();
    tx.sql.run(
      `INSERT INTO operations (id, node_id, project_id, kind, version, class, description, status, conflict_key, epoch, created_at, updated_at,
         requestor, resources, params, steps, metadata)
       VALUES (?, ?, (SELECT id FROM projects WHERE name = ?), ?, ?, 'task', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.id, row.memberId, row.project, row.kind, row.version, row.description, row.epoch === 0 ? 'Pending' : 'Running', row.conflictKey,
      row.epoch, now, now, JSON.stringify(row.requestor), JSON.stringify(row.resources), JSON.stringify(row.params ?? null),
      JSON.stringify(row.steps), JSON.stringify(row.metadata),
    );
  }

  /** The kind of an operation under way with this conflict key. */
  findBusy(tx: Tx | null, conflictKey: string): { id: string; kind: string } | undefined {
    const sql = tx?.sql ?? this.database.read;
    return sql.get<{ id: string; kind: string }>(`SELECT id, kind FROM operations WHERE status IN ${live} AND conflict_key = ? LIMIT 1`, conflictKey);
  }

  get(id: string): OperationRow | undefined {
    const raw = this.database.read.get<RawRow>(`${selectRow} WHERE o.id = ?`, id);
    return raw === undefined ? undefined : toRow(raw);
  }

  listLive(memberId: number): OperationRow[] {
    const rows = this.database.read.all<RawRow>(`${selectRow} WHERE o.status IN ${live} AND o.node_id = ? ORDER BY o.created_at, o.id`, memberId);
    return rows.map(toRow);
  }

  /** What the row says of an operation, whoever runs it; undefined without a row. */
  outcome(id: string): { status: OperationStatus; err: string; metadata: Record<string, unknown> | null; updated_at: string } | undefined {
    const raw = this.database.read.get<Pick<RawRow, 'status' | 'error' | 'metadata'> & { updated_at: string }>('SELECT status, error, metadata, updated_at FROM operations WHERE id = ?', id);
    if (raw === undefined) return undefined;
    const metadata = JSON.parse(raw.metadata) as Record<string, unknown>;
    return { status: raw.status, err: raw.error, metadata: Object.keys(metadata).length === 0 ? null : metadata, updated_at: raw.updated_at };
  }

  cancelRequested(id: string): boolean {
    return this.database.read.get<{ n: number }>('SELECT cancel_requested AS n FROM operations WHERE id = ?', id)?.n === 1;
  }

  claim(tx: Tx, id: string, epoch: number): boolean {
    return tx.sql.run(
      `UPDATE operations SET epoch = epoch + 1, status = CASE status WHEN 'Pending' THEN 'Running' ELSE status END WHERE id = ? AND epoch = ? AND status IN ${live}`,
      id, epoch).changes === 1;
  }

  saveOutputs(tx: Tx, id: string, epoch: number, outputs: Record<string, unknown>): boolean {
    return tx.sql.run('UPDATE operations SET outputs = ? WHERE id = ? AND epoch = ?', JSON.stringify(outputs), id, epoch).changes === 1;
  }

  /** False when a cancel came first or the claim is lost. */
  commit(tx: Tx, id: string, epoch: number): boolean {
    return tx.sql.run(`UPDATE operations SET committed = 1 WHERE id = ? AND epoch = ? AND (cancel_requested = 0 OR committed = 1) AND status = 'Running'`, id, epoch).changes === 1;
  }

  /** From here on it goes backwards, whatever happens. */
  startUndo(tx: Tx, id: string, epoch: number, error: string): boolean {
    return tx.sql.run(`UPDATE operations SET status = 'Cancelling', error = ? WHERE id = ? AND epoch = ?`, error, id, epoch).changes === 1;
  }

  /** False when it can no longer be cancelled. */
  requestCancel(tx: Tx, id: string): boolean {
    return tx.sql.run(`UPDATE operations SET cancel_requested = 1 WHERE id = ? AND committed = 0 AND status IN ('Pending', 'Running')`, id).changes === 1;
  }

  /** Success only if no cancel came before. Parameters and outputs go: they may hold secrets and nobody needs them again. */
  finish(tx: Tx, id: string, epoch: number, end: { status: OperationStatus; error: string; metadata: Record<string, unknown> }): boolean {
    return tx.sql.run(
      `UPDATE operations SET status = ?, error = ?, metadata = ?, updated_at = ?, params = '{}', outputs = '{}', conflict_key = NULL
       WHERE id = ? AND epoch = ? AND (? <> 'Success' OR cancel_requested = 0 OR committed = 1)`,
      end.status, end.error, JSON.stringify(end.metadata), tx.now.toISOString(), id, epoch, end.status).changes === 1;
  }

  /** An in-memory operation that has ended. Metadata of websocket and token operations holds secrets and is left out. */
  insertHistory(tx: Tx, memberId: number, operation: LiveOperation): void {
    const { init } = operation;
    tx.sql.run(
      `INSERT OR IGNORE INTO operations (id, node_id, project_id, kind, version, class, description, status, epoch, created_at, updated_at, requestor, resources, metadata, error)
       VALUES (?, ?, (SELECT id FROM projects WHERE name = ?), ?, 0, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
      init.id, memberId, init.project, init.kind, init.class, init.description, operation.status, init.createdAt.toISOString(),
      (operation.endedAt ?? operation.updatedAt).toISOString(), JSON.stringify(init.requestor), JSON.stringify(init.resources),
      init.class === 'task' ? JSON.stringify(operation.metadata) : '{}', operation.error,
    );
  }

  /** Drops the oldest finished rows beyond `keep`. */
  trimHistory(tx: Tx, memberId: number, keep: number): number {
    return tx.sql.run(
      `DELETE FROM operations WHERE id IN (SELECT id FROM operations WHERE node_id = ? AND status NOT IN ${live}
         ORDER BY updated_at DESC, id LIMIT -1 OFFSET ?)`,
      memberId, keep).changes;
  }

  /** An entity for the operator; one open row per type and operation kind would hide others, so each is its own. */
  insertWarning(tx: Tx, warning: { uuid: string; memberId: number; project: string; typeCode: number; message: string }): void {
    const now = tx.now.toISOString();
    tx.sql.run(
      `INSERT INTO warnings (uuid, node_id, project_id, entity_type, type_code, status, first_seen_date, last_seen_date, updated_date, last_message, count)
       VALUES (?, ?, (SELECT id FROM projects WHERE name = ?), 'operation', ?, 1, ?, ?, ?, ?, 1)`,
      warning.uuid, warning.memberId, warning.project, warning.typeCode, now, now, now, warning.message,
    );
  }
}
