import { Injectable } from '@nestjs/common';
import { LocalMember, newUuid, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql } from '#platform/database';
import { warningTypeCode, type WarningTypeName } from './warning-types.rules.js';

/** What a warning is about. One about the same thing from the same member is the same warning, seen again. */
export interface WarningSubject {
  readonly type: WarningTypeName;
  /** Id of the project it belongs to. */
  readonly projectId?: number;
  readonly entity?: { readonly type: 'node' | 'instance' | 'network' | 'storage_pool'; readonly id: number };
}

export interface WarningReport extends WarningSubject {
  readonly message: string;
  /** An unresolved warning with the same words is written again only after this long; at once unless given. */
  readonly repeatMs?: number;
}

/** A warning as its row has it. */
export interface WarningRecord {
  readonly typeCode: number;
  /** Of the member it is from; 0 where it is from none. */
  readonly nodeId: number;
  readonly projectId: number | null;
  readonly entityType: string;
  readonly entityId: number | null;
  readonly message: string;
}

interface OpenRow {
  readonly uuid: string;
  readonly status: number;
  readonly last_seen_date: string;
}

const resolved = 3;

/** How features tell operators what they could not do by themselves, and take it back. */
@Injectable()
export class WarningsWriter {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly member: LocalMember,
  ) {}

  /** Writes it, or counts it when it is known already; a resolved one is new again, an acknowledged one stays so. */
  async raise(ctx: RequestContext, report: WarningReport): Promise<void> {
    const record = { ...recordOf(report), nodeId: this.member.id, message: report.message };
    const known = find(this.database.read, record);
    if (known !== undefined && known.status !== resolved && new Date().getTime() - Date.parse(known.last_seen_date) < (report.repeatMs ?? 0)) return;
    await this.write(ctx, record);
  }

  async write(ctx: RequestContext, record: WarningRecord): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const now = tx.now.toISOString();
      const row = find(tx.sql, record);
      if (row !== undefined) {
        tx.sql.run('UPDATE warnings SET status = CASE status WHEN 3 THEN 1 ELSE status END, last_seen_date = ?, updated_date = ?, last_message = ?, count = count + 1 WHERE uuid = ?',
          now, now, record.message, row.uuid);
        return;
      }
      tx.sql.run(`INSERT INTO warnings (uuid, node_id, project_id, entity_type, entity_id, type_code, status, first_seen_date, last_seen_date, updated_date, last_message, count)
        VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 1)`,
        newUuid(), record.nodeId, record.projectId, record.entityType, record.entityId, record.typeCode, now, now, now, record.message);
    });
  }

  /** It is over, whichever member said so. Writes nothing when there is none. */
  async resolve(ctx: RequestContext, subject: WarningSubject): Promise<void> {
    const [where, ...values] = aboutAnywhere(recordOf(subject));
    const open = (sql: Sql): boolean => sql.get(`SELECT 1 FROM warnings WHERE ${where} AND status <> ${resolved}`, ...values) !== undefined;
    if (!open(this.database.read)) return;
    await this.transactions.run(ctx, (tx) => {
      tx.sql.run(`UPDATE warnings SET status = ${resolved}, updated_date = ? WHERE ${where} AND status <> ${resolved}`, tx.now.toISOString(), ...values);
    });
  }
}

function find(sql: Sql, record: WarningRecord): OpenRow | undefined {
  const [where, ...values] = aboutAnywhere(record);
  return sql.get<OpenRow>(`SELECT uuid, status, last_seen_date FROM warnings WHERE ${where} AND node_id = ?`, ...values, record.nodeId);
}

function recordOf({ type, projectId, entity }: WarningSubject): Omit<WarningRecord, 'nodeId' | 'message'> {
  return { typeCode: warningTypeCode(type), projectId: projectId ?? null, entityType: entity?.type ?? '', entityId: entity?.id ?? null };
}

function aboutAnywhere({ typeCode, projectId, entityType, entityId }: Omit<WarningRecord, 'nodeId' | 'message'>): [string, ...(string | number | null)[]] {
  return ['type_code = ? AND project_id IS ? AND entity_type = ? AND entity_id IS ?', typeCode, projectId, entityType, entityId];
}
