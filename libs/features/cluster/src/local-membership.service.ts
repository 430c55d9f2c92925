import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { defaultProject, internalContext, LocalMember, Logger, messageOf, type RequestContext, type Requestor } from '#kernel';
import { ClusterCertificates } from '#platform/auth';
import { ChangeFeed, ClusterLog, Database, LocalStore } from '#platform/database';
import { EventBus } from '#platform/events';
import { Peers } from '#ports';
import { MembersRepository, type MemberRow } from './data/members.repository.js';
import { Joining } from './join/joining.service.js';
import { Rejoining } from './join/rejoining.service.js';
import { JoinParticipants } from './join/join-participants.js';

/** LXD's numbers of roles in `raft_nodes`. */
const raftRoles: Readonly<Record<MemberRow['voter'], number>> = { voter: 0, standby: 1, '': 2, learner: 2 };

/**
 * This member's own place in the cluster: finishes a join that was under way when the last process ended, keeps the list of voters where
 * administrators look for it without a daemon, and leaves when its row is gone.
 */
@Injectable()
export class LocalMembership implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stops: (() => void)[] = [];
  private leaving: Promise<void> | null = null;
  /** That it leaves was said already, when it was asked to get ready. */
  private announced = false;

  constructor(
    private readonly members: MembersRepository,
    private readonly participants: JoinParticipants,
    private readonly joining: Joining,
    private readonly rejoining: Rejoining,
    private readonly log: ClusterLog,
    private readonly database: Database,
    private readonly store: LocalStore,
    private readonly certificates: ClusterCertificates,
    private readonly peers: Peers,
    private readonly local: LocalMember,
    private readonly events: EventBus,
    private readonly logger: Logger,
    feed: ChangeFeed,
  ) {
    this.stops.push(feed.subscribe(['nodes'], () => this.onMembers()), feed.onReset(() => this.onMembers()));
  }

  onApplicationBootstrap(): void {
    this.peers.handle('cluster.prepare-leaving', async (_request: object, { requestor }) => {
      // While the others still listen to this member.
      this.announce(requestor);
      await this.participants.leave(internalContext());
    });
  }

  onModuleDestroy(): void {
    for (const stop of this.stops) stop();
  }

  /** Early at a start, before anything is done to pools and networks. */
  async startUp(): Promise<void> {
    if (!this.local.clustered && this.certificates.current !== null) await this.certificates.remove();
    this.noteVoters();
    if (this.local.clustered && this.own() === undefined) await this.leave(internalContext());
  }

  /** Once pools and networks are up. */
  async finishJoin(): Promise<void> {
    await this.joining.resume();
    await this.rejoining.resume();
  }

  /** Back to an empty server that stands alone, whatever the cluster says; its addresses stay. */
  leave(ctx: RequestContext): Promise<void> {
    this.leaving ??= this.carryOut(ctx).finally(() => (this.leaving = null));
    return this.leaving;
  }

  private async carryOut(ctx: RequestContext): Promise<void> {
    if (!this.local.clustered) return;
    if (!this.announced) this.announce(ctx.requestor);
    this.announced = false;
    await this.participants.leave(ctx).catch((error: unknown) => this.logger.warn('Could not clear this host of what the cluster had on it', { error: messageOf(error) }));
    await this.log.leave();
    await this.certificates.remove();
    this.noteVoters();
  }

  private announce(requestor: Requestor): void {
    this.announced = true;
    this.events.lifecycle({ action: 'cluster-disabled', source: '/1.0/cluster/', project: defaultProject, requestor });
  }

  private onMembers(): void {
    this.noteVoters();
    if (!this.local.clustered || this.leaving !== null || this.joining.givingUp || this.own() !== undefined) return;
    this.logger.warn('This member was removed from the cluster');
    // Whoever is being answered right now still needs the database.
    setImmediate(() => void this.leave(internalContext()).catch((error: unknown) => this.logger.error('Failed to leave the cluster', { error: messageOf(error) })));
  }

  private own(): MemberRow | undefined {
    return this.members.byId(this.database.read, this.local.id);
  }

  /** `raft_nodes` of the local database, as LXD keeps it. */
  private noteVoters(): void {
    const rows = this.local.clustered ? this.members.list(this.database.read) : [];
    const wanted = rows.map(({ id, address, name, voter }) => ({ id, address, role: raftRoles[voter], name }));
    const { connection } = this.store;
    const present = connection.all('SELECT id, address, role, name FROM raft_nodes ORDER BY id');
    if (JSON.stringify(present) === JSON.stringify(wanted.toSorted((a, b) => a.id - b.id))) return;
    connection.exec('BEGIN IMMEDIATE; DELETE FROM raft_nodes');
    try {
      for (const { id, address, role, name } of wanted) connection.run('INSERT INTO raft_nodes (id, address, role, name) VALUES (?, ?, ?, ?)', id, address, role, name);
      connection.exec('COMMIT');
    } finally {
      if (connection.db.isTransaction) connection.exec('ROLLBACK');
    }
  }
}
