import { Global, Injectable, Module, type BeforeApplicationShutdown } from '@nestjs/common';
import { internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { MemberLiveness, Peers } from '#ports';
import { EtcdClusterLog, OpenDatabase, SqlVoterRoster, type LogConnection } from '#platform/database';
import { WarningsModule, WarningsWriter } from '#features/warnings';
import { LeaseLiveness, VoterDuties, VoterManager, VoterRoster } from '#platform/raft';

/** Has voters looked after for as long as this member is part of a cluster, and hands over before it stops. */
@Injectable()
export class ClusterVoters implements BeforeApplicationShutdown {
  private readonly end: () => void;

  constructor(
    private readonly cluster: EtcdClusterLog,
    private readonly liveness: LeaseLiveness,
    private readonly duties: VoterDuties,
    private readonly manager: VoterManager,
    private readonly logger: Logger,
  ) {
    cluster.overseenBy({ events: duties, retire: (memberId) => manager.retire(memberId) });
    this.end = cluster.onConnection((connection) => void this.follow(connection).catch((error: unknown) => this.logger.error('Failed looking after the voters', { error: messageOf(error) })));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.end();
    await this.manager.handOver().catch((error: unknown) => this.logger.debug('Failed handing over the lead of the log', { error: messageOf(error) }));
    this.unfollow();
    await this.liveness.unfollow();
  }

  private async follow(connection: LogConnection | null): Promise<void> {
    if (connection === null) {
      this.unfollow();
      return this.liveness.unfollow();
    }
    const part = { client: connection.client, incarnation: connection.settings.incarnation };
    await this.liveness.follow(part.client, part.incarnation);
    // Its voter may be on its way yet; the member itself is here.
    await this.cluster.resumed;
    if (this.cluster.connection !== connection) return;
    this.duties.follow(part);
    this.manager.follow(part);
  }

  private unfollow(): void {
    this.duties.unfollow();
    this.manager.unfollow();
  }
}

/** What keeps this member's etcd from running, as a warning for as long as it does. Without a majority it cannot be written; it is in the log. */
function tell(warnings: WarningsWriter, logger: Logger, member: LocalMember, message: string | null): void {
  const subject = { type: 'Database member unavailable', entity: { type: 'node', id: member.id } } as const;
  if (message !== null) logger.warn(message);
  const written = message === null ? warnings.resolve(internalContext(), subject) : warnings.raise(internalContext(), { ...subject, message });
  written.catch((error: unknown) => logger.debug('Failed writing a warning', { error: messageOf(error) }));
}

const voterParts = [LocalMember, EtcdClusterLog, VoterRoster, Peers, LeaseLiveness, Logger];
type VoterParts = [LocalMember, EtcdClusterLog, VoterRoster, Peers, LeaseLiveness, Logger];
const named = ([member, { voter }, roster, peers, liveness, logger]: VoterParts) => ({ member, voter, roster, peers, liveness, logger });

/** Who is there, and who votes. */
@Global()
@Module({
  imports: [WarningsModule],
  providers: [
    { provide: VoterRoster, useFactory: (open: OpenDatabase) => new SqlVoterRoster(open), inject: [OpenDatabase] },
    {
      provide: LeaseLiveness,
      useFactory: (member: LocalMember, logger: Logger, roster: VoterRoster) => new LeaseLiveness({ member, logger, offlineThresholdMs: () => roster.settings().offlineThresholdMs }),
      inject: [LocalMember, Logger, VoterRoster],
    },
    { provide: MemberLiveness, useExisting: LeaseLiveness },
    {
      provide: VoterDuties,
      useFactory: (warnings: WarningsWriter, ...parts: VoterParts) => {
        const { member, logger } = named(parts);
        return new VoterDuties({ ...named(parts), onWarning: (message) => tell(warnings, logger, member, message) });
      },
      inject: [WarningsWriter, ...voterParts],
    },
    { provide: VoterManager, useFactory: (...parts: VoterParts) => new VoterManager(named(parts)), inject: voterParts },
    ClusterVoters,
  ],
  exports: [LeaseLiveness, MemberLiveness, VoterManager, VoterRoster],
})
export class ClusterVotersModule {}
