import { Injectable } from '@nestjs/common';
import type { ConfigMap } from '#api-types';
import { newUuid } from '#kernel';
import type { PowerState } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';

/** What only the member of an instance knows of it. */
export interface InstanceReport {
  readonly id: number;
  readonly power: PowerState;
  readonly volatile: Readonly<ConfigMap>;
  /** RFC 3339; empty where it never ran there. */
  readonly lastUsedAt: string;
}

/** How far a reader has come; a generation ends with the process. */
export interface ReportsPosition {
  readonly generation: string;
  readonly version: number;
}

export interface ReportsReply extends ReportsPosition {
  /** Everything there is to say; otherwise what has changed since the position asked from. */
  readonly full: boolean;
  readonly reports: readonly InstanceReport[];
}

/**
 * What this member tells others about its instances: only what has changed since they last asked, so that a list of a thousand costs one short
 * call to each member. An instance that is not spoken of is stopped and has nothing to say.
 */
@Injectable()
export class LocalReports {
  private readonly generation = newUuid();
  private version = 0;
  private readonly changedIds = new Map<number, number>();
  private readonly changedNames = new Map<string, number>();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly member: MemberVolatileStore,
  ) {
    member.onChange((id) => this.changedIds.set(id, ++this.version));
    states.onChange((projectName) => this.changedNames.set(projectName, ++this.version));
  }

  async since(position: ReportsPosition | null): Promise<ReportsReply> {
    await this.states.ready();
    const { generation, version } = this;
    const full = position === null || position.generation !== generation || position.version > version;
    const reports = this.catalog.local().map((instance) => this.report(instance));
    return { generation, version, full, reports: reports.filter((report) => (full ? saysSomething(report.report) : report.version > position.version)).map(({ report }) => report) };
  }

  private report({ row }: ExpandedInstance): { readonly version: number; readonly report: InstanceReport } {
    const name = hostName(row);
    const { volatile, lastUsedAt } = this.member.get(row.id);
    return {
      version: Math.max(this.changedIds.get(row.id) ?? 0, this.changedNames.get(name) ?? 0),
      report: { id: row.id, power: this.states.get(name).power, volatile, lastUsedAt },
    };
  }
}

function saysSomething({ power, volatile, lastUsedAt }: InstanceReport): boolean {
  return power !== 'Stopped' || lastUsedAt !== '' || Object.keys(volatile).length > 0;
}
