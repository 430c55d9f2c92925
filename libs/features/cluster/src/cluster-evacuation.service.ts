import { Injectable } from '@nestjs/common';
import type { ClusterMemberStatePost } from '#api-types';
import { invalid, LocalMember, type RequestContext } from '#kernel';
import { Database, TransactionRunner } from '#platform/database';
import { RequestRouter } from '#platform/http';
import { OperationsService, type OperationHandle, type RunningOperation } from '#platform/operations';
import { ClusterMembers } from './cluster-members.service.js';
import { MembersRepository, type MemberState } from './data/members.repository.js';
import { EvacuationRegistry } from './evacuation.registry.js';

/** Maintenance of a member: nothing is placed on it while it is evacuated. Runs on the member it is about. */
@Injectable()
export class ClusterEvacuation {
  constructor(
    private readonly members: ClusterMembers,
    private readonly repository: MembersRepository,
    private readonly registry: EvacuationRegistry,
    private readonly operations: OperationsService,
    private readonly transactions: TransactionRunner,
    database: Database,
    private readonly local: LocalMember,
    router: RequestRouter,
  ) {
    router.register('/1.0/cluster/members/:name/state', ({ method, params }) => (method === 'POST' ? (repository.find(database.read, params['name']!)?.id ?? null) : null));
  }

  change(ctx: RequestContext, name: string, { action, mode }: ClusterMemberStatePost): Promise<OperationHandle> {
    const row = this.members.get(name);
    if (action !== 'evacuate' && action !== 'restore') throw invalid(`Unknown action "${action}"`);
    const evacuates = action === 'evacuate';
    return this.operations.runInMemory(ctx, {
      kind: `cluster.${action}`, class: 'task', description: evacuates ? 'Evacuating cluster member' : 'Restoring cluster member', resources: {},
      conflictKey: `member:${row.id}`,
      run: (operation) => (evacuates ? this.evacuate(ctx, name, mode, operation) : this.restore(ctx, name, mode, operation)),
    });
  }

  private async evacuate(ctx: RequestContext, name: string, mode: string, operation: RunningOperation): Promise<void> {
    await this.turn(ctx, name, 'created', 'evacuated', 'Cluster member is already evacuated');
    try {
      await this.registry.evacuate(ctx, { mode, signal: operation.signal, update: (metadata) => operation.update(metadata) });
    } catch (error) {
      await this.turn(ctx, name, 'evacuated', 'created', 'Cluster member is already restored');
      throw error;
    }
  }

  /** In use again once everything is back: a restore that failed, or was killed half way, is simply asked for again. */
  private async restore(ctx: RequestContext, name: string, mode: string, operation: RunningOperation): Promise<void> {
    if (this.members.get(name).state !== 'evacuated') throw invalid('Cluster member is already restored');
    await this.registry.restore(ctx, { mode, signal: operation.signal, update: (metadata) => operation.update(metadata) });
    await this.turn(ctx, name, 'evacuated', 'created', 'Cluster member is already restored');
  }

  private async turn(ctx: RequestContext, name: string, from: MemberState, to: MemberState, refusal: string): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.repository.byId(tx.sql, this.local.id);
      if (row === undefined || row.name !== name || row.state !== from) throw invalid(refusal);
      this.repository.setState(tx, row.id, to);
    });
  }
}
