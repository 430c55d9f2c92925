import { Injectable } from '@nestjs/common';
import type { ClusterMemberConfigKey } from '#api-types';
import { LocalMember, type RequestContext } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { JoinParticipants, type JoinParticipant } from '#features/cluster';
import { NetworksRepository } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';

/** A member that joins gets its part of every network, one that leaves takes it off its host. */
@Injectable()
export class NetworkJoin implements JoinParticipant {
  readonly name = 'networks';
  readonly order = 20;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly networks: NetworksRepository,
    private readonly local: MemberNetworks,
    private readonly member: LocalMember,
    participants: JoinParticipants,
  ) {
    participants.register(this);
  }

  async clear(ctx: RequestContext): Promise<void> {
    await this.local.clearHost();
    await this.runner.run(ctx, (tx) => {
      for (const { id } of this.networks.listAll(tx.sql)) this.networks.delete(tx, id);
    });
  }

  async join(ctx: RequestContext, memberConfig: readonly ClusterMemberConfigKey[]): Promise<void> {
    await this.runner.run(ctx, (tx) => {
      for (const { id, name, part } of this.networks.listAll(tx.sql)) {
        const given = memberConfig.filter((one) => one.entity === 'network' && one.name === name && one.value !== '');
        if (part === null) this.networks.insertPart(tx, id, { memberId: this.member.id, state: 'Pending', config: Object.fromEntries(given.map(({ key, value }) => [key, value])) });
      }
    });
    try {
      await this.local.makeJoined();
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  async leave(): Promise<void> {
    await this.local.clearHost();
  }
}
