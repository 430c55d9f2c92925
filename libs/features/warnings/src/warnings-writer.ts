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
    const known = this.find(this.database.read, report);
    if (known !== undefined && known.status !== resolved && new Date().getTime() - Date.parse(known.last_seen_date) < (report.repeatMs ?? 0)) return;
    await this.transactions.run(ctx, (tx) => {
      const now = tx.now.toISOString();
      const row = this.find(tx.sql, report);
      if (row !== undefined) {
        tx.sql.run('UPDATE warnings SET status = CASE status WHEN 3 THEN 1 ELSE status END, last_seen_date = ?, updated_date = ?, last_message = ?, count = count + 1 WHERE uuid = ?',
          now, now, report.message, row.uuid);
        return;
      }
      tx.sql.run(`INSERT INTO warnings (uuid, node_id, project_id, entity_type, entity_id, type_code, status, first_seen_date, last_seen_date, updated_date, last_message, count)
        VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 1)`,
        newUuid(), this.member.id, report.projectId ?? null, report.entity?.type ?? '', report.entity?.id ?? null, warningTypeCode(report.type), now, now, now, report.message);
    });
  }

  /** It is over, whichever member said so. Writes nothing when there is none. */
  async resolve(ctx: RequestContext, subject: WarningSubject): Promise<void> {
    const [where, ...values] = aboutAnywhere(subject);
    const open = (sql: Sql): boolean => sql.get(`SELECT 1 FROM warnings WHERE ${where} AND status <> ${resolved}`, ...values) !== undefined;
    if (!open(this.database.read)) return;
    await this.transactions.run(ctx, (tx) => {
      tx.sql.run(`UPDATE warnings SET status = ${resolved}, updated_date = ? WHERE ${where} AND status <> ${resolved}`, tx.now.toISOString(), ...values);
    });
  }

  private find(sql: Sql, subject: WarningSubject): OpenRow | undefined {
    const [where, ...values] = aboutAnywhere(subject);
    return sql.get<OpenRow>(`SELECT uuid, status, last_seen_date FROM warnings WHERE ${where} AND node_id = ?`, ...values, this.member.id);
  }
}

function aboutAnywhere({ type, projectId, entity }: WarningSubject): [string, ...(string | number | null)[]] {
  return ['type_code = ? AND project_id IS ? AND entity_type = ? AND entity_id IS ?', warningTypeCode(type), projectId ?? null, entity?.type ?? '', entity?.id ?? null];
}
