import { Injectable } from '@nestjs/common';
import { apiExtensions } from '#api-types';
import { resolveJoinToken } from '#client';
import { internalContext, invalid, LocalMember, Logger, messageOf, type RequestContext } from '#kernel';
import { ClusterCertificates, ServerCertificates } from '#platform/auth';
import { ClusterLog, Database, TransactionRunner } from '#platform/database';
import { HostInfo } from '#ports';
import { ServerConfig } from '#features/server';
import { MembersRepository, type MemberRow } from '../data/members.repository.js';
import { TargetMember } from './target-member.js';

/** What became of this member's things by coming back. */
export interface RejoinReport {
  /** Where the database, the voter's data and the authority of the former history are. */
  readonly backup: string;
  /** `project/name` of instances that were on this member in its former history and are not in the cluster's: their files are still on its pools. */
  readonly unknown: readonly string[];
  /** `project/name` of those the cluster places here and the former history did not: deleted or moved after the cluster was parted. */
  readonly unexpected: readonly string[];
}

/**
 * The way back for a member that a recovery left behind (hazards A3): under its number, so that its instances, volumes and parts of pools and networks are its
 * own again, and with what runs here running on. It takes the recovered cluster's database in place of its own, which is kept. Killed before the exchange
 * it is as before and the command is given again; killed after it, `resume` does what is left.
 */
@Injectable()
export class Rejoining {
  constructor(
    private readonly members: MembersRepository,
    private readonly transactions: TransactionRunner,
    private readonly database: Database,
    private readonly config: ServerConfig,
    private readonly log: ClusterLog,
    private readonly certificates: ClusterCertificates,
    private readonly server: ServerCertificates,
    private readonly host: HostInfo,
    private readonly local: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** @param token of `lxc cluster add` with this member's name, made on the recovered cluster. */
  async rejoin(ctx: RequestContext, token: string): Promise<RejoinReport> {
    const own = this.own();
    if (own === undefined) throw invalid('This server is not clustered: join with "lxd init"');
    const { name, address, certificate } = await resolveJoinToken(token);
    if (name !== own.name) throw invalid(`The token is for "${name}", this member is "${own.name}"`);
    const before = this.members.instancesOf(this.database.read, own.id);
    const target = new TargetMember(address, certificate, this.server.current);
    try {
      const { architectures } = await this.host.describeHost();
      const accepted = await target.accept({
        name, address: this.config.get('cluster.https_address') || own.address, password: token, architecture: architectures[0] ?? '',
        certificate: this.server.current.certificate, level: this.log.state().knownLevel, apiExtensions: apiExtensions.length, former: this.database.head.incarnation,
      });
      await this.certificates.install(accepted.clusterCertificate, accepted.clusterKey);
      const { backup } = await this.log.rejoin(ctx, accepted.admission, () => target.snapshot());
      await this.finish(ctx);
      const after = this.members.instancesOf(this.database.read, own.id);
      return { backup, unknown: before.filter((one) => !after.includes(one)), unexpected: after.filter((one) => !before.includes(one)) };
    } finally {
      target.close();
    }
  }

  /** At a start: what was left when the last process ended after it had taken the cluster's database. */
  async resume(): Promise<void> {
    const own = this.own();
    if (own === undefined || this.members.leftOut(this.database.read, own.id) === null) return;
    await this.finish(internalContext()).catch((error: unknown) => this.logger.error('Failed to finish coming back to the cluster', { error: messageOf(error) }));
  }

  private async finish(ctx: RequestContext): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.members.byId(tx.sql, this.local.id);
      if (row === undefined) throw invalid('This member was removed from the cluster while it came back');
      this.members.takeBack(tx, row.id);
      this.members.setVersion(tx, row.id, { ...row.version, level: this.log.state().knownLevel, apiExtensions: apiExtensions.length });
    });
  }

  private own(): MemberRow | undefined {
    return this.local.clustered ? this.members.byId(this.database.read, this.local.id) : undefined;
  }
}
