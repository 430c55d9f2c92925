import { Injectable } from '@nestjs/common';
import type { ClusterMemberConfigKey } from '#api-types';
import { LocalMember, type RequestContext } from '#kernel';
import { Database, TransactionRunner } from '#platform/database';
import { JoinParticipants, type JoinParticipant } from '#features/cluster';
import { PoolsRepository } from './data/pools.repository.js';
import { PoolParts } from './pool-parts.service.js';

/** A member that joins gets its part of every pool, one that leaves takes it off its host. */
@Injectable()
export class PoolJoin implements JoinParticipant {
  readonly name = 'storage';
  readonly order = 10;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly pools: PoolsRepository,
    private readonly parts: PoolParts,
    private readonly member: LocalMember,
    participants: JoinParticipants,
  ) {
    participants.register(this);
  }

  async clear(ctx: RequestContext): Promise<void> {
    for (const { name } of this.pools.list(this.database.read)) await this.parts.destroy(ctx, name, { finish: (tx) => this.pools.delete(tx, name) });
  }

  async join(ctx: RequestContext, memberConfig: readonly ClusterMemberConfigKey[]): Promise<void> {
    await this.runner.run(ctx, (tx) => {
      for (const { id, name, part } of this.pools.list(tx.sql)) {
        const given = memberConfig.filter((one) => one.entity === 'storage-pool' && one.name === name && one.value !== '');
        if (part === null) this.pools.insertPart(tx, id, { memberId: this.member.id, state: 'Pending', config: Object.fromEntries(given.map(({ key, value }) => [key, value])) });
      }
    });
    try {
      await this.parts.makeJoined();
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  async leave(): Promise<void> {
    await this.parts.clearHost();
  }
}
