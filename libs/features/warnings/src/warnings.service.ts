import { Injectable } from '@nestjs/common';
import { invalid, notFound, type RequestContext } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { EventBus } from '#platform/events';
import { WarningRepository, type WarningRow } from './warning.repository.js';
import { warningSeverity, warningStatusCode, warningStatusName, warningTypeName } from './warning-types.rules.js';

/** A warning as the API shows it. */
export interface WarningApi {
  readonly status: string;
  readonly uuid: string;
  readonly location: string;
  readonly project: string;
  readonly type: string;
  readonly count: number;
  readonly first_seen_at: string;
  readonly last_seen_at: string;
  readonly last_message: string;
  readonly severity: string;
  readonly entity_url: string;
}

/** What the daemon could not do by itself and an operator should know. Others write the rows; here they are read and settled. */
@Injectable()
export class WarningsService {
  constructor(
    private readonly repository: WarningRepository,
    private readonly transactions: TransactionRunner,
    private readonly events: EventBus,
  ) {}

  list(project: string | null): WarningApi[] {
    return this.repository.list(project).map(toApi);
  }

  get(uuid: string): WarningApi {
    return toApi(this.require(this.repository.find(uuid)));
  }

  async setStatus(ctx: RequestContext, uuid: string, name: string): Promise<void> {
    const status = warningStatusCode(name);
    if (status === null) throw invalid(`Invalid warning type "${name}"`);
    await this.transactions.run(ctx, (tx) => {
      this.require(this.repository.find(uuid, tx));
      this.repository.setStatus(tx, uuid, status);
      tx.afterCommit(() => this.publish(ctx, name === 'acknowledged' ? 'warning-acknowledged' : 'warning-reset', uuid));
    });
  }

  async remove(ctx: RequestContext, uuid: string): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      this.require(this.repository.find(uuid, tx));
      this.repository.remove(tx, uuid);
      tx.afterCommit(() => this.publish(ctx, 'warning-deleted', uuid));
    });
  }

  private require(row: WarningRow | undefined): WarningRow {
    if (!row) throw notFound('Warning not found');
    return row;
  }

  private publish(ctx: RequestContext, action: string, uuid: string): void {
    this.events.lifecycle({ action, source: `/1.0/warnings/${uuid}`, project: ctx.project, requestor: ctx.requestor });
  }
}

function toApi(row: WarningRow): WarningApi {
  return {
    status: warningStatusName(row.status), uuid: row.uuid, location: row.location ?? '', project: row.project ?? '', type: warningTypeName(row.type_code),
    count: row.count, first_seen_at: row.first_seen_date, last_seen_at: row.last_seen_date, last_message: row.last_message,
    severity: warningSeverity(row.type_code), entity_url: row.entity_url ?? '',
  };
}
