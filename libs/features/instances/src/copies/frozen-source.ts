import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { InstanceDriver } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { hostName } from '../instance-urls.js';
import type { CopySource } from './copy-operation.params.js';

/** A source that runs on this host, held still while its files are copied one by one. */
@Injectable()
export class FrozenSource {
  private readonly lentNow = new Set<number>();

  constructor(
    private readonly driver: InstanceDriver,
    private readonly member: MemberVolatileStore,
    private readonly catalog: InstanceCatalog,
  ) {}

  async during(source: CopySource, work: () => Promise<void>): Promise<void> {
    if (source.freeze) await this.driver.freezeInstance(hostName(source.volume)).catch(unlessStopped);
    try {
      await work();
    } finally {
      await this.release(source);
    }
  }

  /** The same for work of another member, of which nobody here would know after a crash: it is noted down for `releaseLeft`. */
  async lent({ row }: ExpandedInstance, work: () => Promise<void>): Promise<void> {
    this.lentNow.add(row.id);
    this.member.setHeldStill(row.id, true);
    try {
      await this.driver.freezeInstance(hostName(row)).catch(unlessStopped);
      await work();
    } finally {
      this.lentNow.delete(row.id);
      await this.goOn(row);
    }
  }

  /** Those that a daemon before this one, or an agent, has not let go on. */
  async releaseLeft(): Promise<void> {
    for (const { row } of this.catalog.local()) if (this.member.get(row.id).heldStill === true && !this.lentNow.has(row.id)) await this.goOn(row);
  }

  private async goOn(row: ExpandedInstance['row']): Promise<void> {
    await this.driver.unfreezeInstance(hostName(row)).catch(unlessStopped);
    this.member.setHeldStill(row.id, false);
  }

  /** Also after a daemon that was killed in between. */
  async release(source: CopySource): Promise<void> {
    if (source.freeze) await this.driver.unfreezeInstance(hostName(source.volume)).catch(unlessStopped);
  }
}

/** It may have been stopped meanwhile, which nobody can be refused. */
function unlessStopped(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
