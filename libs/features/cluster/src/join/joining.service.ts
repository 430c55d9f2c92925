import { Injectable } from '@nestjs/common';
import { apiExtensions, type ClusterPut } from '#api-types';
import { resolveJoinToken } from '#client';
import { internalContext, invalid, LocalMember, Logger, messageOf, wrap, type RequestContext } from '#kernel';
import { ClusterCertificates, ServerCertificates } from '#platform/auth';
import { ClusterLog, Database, LocalStore, TransactionRunner } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, formatListenAddress, parseListenAddress } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { HostInfo } from '#ports';
import { ServerConfig } from '#features/server';
import { MembersRepository } from '../data/members.repository.js';
import type { AcceptReply } from './join-messages.js';
import { JoinParticipants } from './join-participants.js';
import { untrustMember } from './member-trust.js';
import { TargetMember } from './target-member.js';

/** This member's own notes on a join under way, so that a restart goes on with it. */
const bucket = 'cluster-join';

/** The others listen to the events of a new member within a second of its row, and this one is for them. */
const audienceMs = 1200;

interface JoinRequest {
  readonly name: string;
  readonly address: string;
  readonly target: string;
  readonly certificate: string;
  readonly password: string;
  readonly memberConfig: ClusterPut['member_config'];
}

/**
 * The joining side. What it does in order: asks a member to be let in (which writes a pending row there), clears this server, takes the database of the
 * cluster in place of its own, makes its part of pools and networks, and says that it has joined. Killed before the exchange of the database it
 * stands alone again; killed after it, `finish` goes on at the next start. Whatever fails is taken back, here and in the cluster.
 */
@Injectable()
export class Joining {
  /** While what has joined is taken back: the member is on its way out already. */
  givingUp = false;

  constructor(
    private readonly operations: OperationsService,
    private readonly config: ServerConfig,
    private readonly members: MembersRepository,
    private readonly participants: JoinParticipants,
    private readonly transactions: TransactionRunner,
    private readonly database: Database,
    private readonly store: LocalStore,
    private readonly log: ClusterLog,
    private readonly certificates: ClusterCertificates,
    private readonly server: ServerCertificates,
    private readonly host: HostInfo,
    private readonly local: LocalMember,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  /** Refuses what LXD refuses at once; the rest is an operation. */
  async join(ctx: RequestContext, body: ClusterPut): Promise<OperationHandle> {
    const request = await this.requestOf(body);
    return this.operations.runInMemory(ctx, {
      kind: 'cluster.join', class: 'task', description: 'Joining cluster', resources: { cluster: [] }, conflictKey: 'cluster:membership', action: 'join',
      run: () => this.carryOut(ctx, request),
    });
  }

  /** The last steps, after the exchange of the database; also at a start in the middle of them. */
  async finish(ctx: RequestContext, memberConfig: ClusterPut['member_config']): Promise<void> {
    await this.participants.join(ctx, memberConfig).catch((error: unknown) => {
      throw wrap(error, 'Failed to initialize member: Failed to initialize storage pools and networks');
    });
    const { id, name } = this.local;
    await this.transactions.run(ctx, (tx) => {
      const row = this.members.byId(tx.sql, id);
      if (row === undefined) throw invalid(`This member was removed from the cluster while it joined`);
      this.members.update(tx, id, { ...row, config: {} });
      this.members.setState(tx, id, 'created');
      this.members.setVersion(tx, id, { ...row.version, apiExtensions: apiExtensions.length });
    });
    this.store.set(bucket, 'member-config', null);
    const added = { action: 'cluster-member-added', source: apiUrl(['1.0', 'cluster', 'members', name]), project: ctx.project, requestor: ctx.requestor };
    setTimeout(() => this.events.lifecycle(added), audienceMs).unref();
  }

  /** At a start: whether the last process ended while it joined, after it had the cluster's database. */
  async resume(): Promise<void> {
    const noted = this.store.get(bucket, 'member-config');
    if (noted === undefined) return;
    const row = this.local.clustered ? this.members.byId(this.database.read, this.local.id) : undefined;
    if (row?.state !== 'pending') {
      this.store.set(bucket, 'member-config', null);
      return;
    }
    const ctx = internalContext();
    try {
      await this.finish(ctx, JSON.parse(noted) as ClusterPut['member_config']);
    } catch (error) {
      this.logger.error('Failed to finish joining the cluster', { error: messageOf(error) });
      await this.giveUp(ctx);
    }
  }

  private async requestOf(body: ClusterPut): Promise<JoinRequest> {
    const password = body.cluster_token === '' ? body.cluster_password : body.cluster_token;
    const { server_name: name, server_address: address, cluster_address: target, cluster_certificate: certificate, member_config: memberConfig } = body;
    if (body.cluster_token !== '' && certificate === '') {
      if (address === '') throw invalid('No server address provided for this member');
      const resolved = await resolveJoinToken(body.cluster_token);
      return { name: name === '' ? resolved.name : name, address: withPort(address), target: resolved.address, certificate: resolved.certificate, password, memberConfig };
    }
    if (certificate === '') throw invalid('No target cluster member certificate provided');
    if (address === '') throw invalid('No server address provided for this member');
    return { name, address: withPort(address), target, certificate, password, memberConfig };
  }

  private async carryOut(ctx: RequestContext, request: JoinRequest): Promise<void> {
    if (this.local.clustered) throw invalid('This server is already clustered');
    this.assertNothingToLose();
    if (!request.certificate.includes('-----BEGIN CERTIFICATE-----')) {
      throw invalid(`Failed to setup cluster trust: Failed to connect to target cluster node "${request.target}": Invalid remote certificate`);
    }
    const restoreAddresses = await this.listen(ctx, request.address);
    const target = new TargetMember(request.target, request.certificate, this.server.current);
    try {
      await this.enter(ctx, request, target);
    } catch (error) {
      await restoreAddresses();
      throw error;
    } finally {
      target.close();
    }
  }

  private async enter(ctx: RequestContext, request: JoinRequest, target: TargetMember): Promise<void> {
    const { architectures } = await this.host.describeHost();
    const accepted: AcceptReply = await target.accept({
      name: request.name, address: request.address, password: request.password, architecture: architectures[0] ?? '',
      certificate: this.server.current.certificate, level: this.database.head.level, apiExtensions: apiExtensions.length,
    });
    try {
      await this.participants.clear(ctx);
      this.store.set(bucket, 'member-config', JSON.stringify(request.memberConfig));
      await this.certificates.install(accepted.clusterCertificate, accepted.clusterKey);
      await this.log.join(ctx, accepted.memberId, accepted.admission, () => target.snapshot());
      await this.finish(ctx, request.memberConfig);
    } catch (error) {
      if (this.log.state().clustered) await this.giveUp(ctx);
      else {
        await target.abandon();
        await this.certificates.remove();
        this.store.set(bucket, 'member-config', null);
      }
      throw error;
    }
  }

  /** Out again: the row through the log, then this member's database. */
  private async giveUp(ctx: RequestContext): Promise<void> {
    const { id } = this.local;
    this.givingUp = true;
    try {
      await this.transactions.run(ctx, (tx) => {
        const row = this.members.byId(tx.sql, id);
        if (row === undefined) return;
        untrustMember(tx, row);
        this.members.remove(tx, row);
      }).catch((error: unknown) => this.logger.warn('Could not tell the cluster that joining failed', { error: messageOf(error) }));
      await this.log.leave();
      await this.certificates.remove();
      this.store.set(bucket, 'member-config', null);
    } finally {
      this.givingUp = false;
    }
  }

  /** LXD drops instances and volumes of a server that joins; that cannot be meant. Everything else can be made again. */
  private assertNothingToLose(): void {
    const kept = this.members.contents(this.database.read, this.local.id).filter(({ kind, names }) => kind !== 'images' && names.length > 0);
    if (kept.length === 0) return;
    throw invalid(`A server that joins a cluster loses what it has, and this one still has the following ${kept.map(({ kind, names }) => `${kind}: ${names.join(', ')}`).join(', and the following ')}`);
  }

  /** Other members must reach it before it asks to be let in. Returns what puts the addresses back. */
  private async listen(ctx: RequestContext, address: string): Promise<() => Promise<void>> {
    const before = { 'cluster.https_address': this.config.get('cluster.https_address'), 'core.https_address': this.config.get('core.https_address') };
    const wanted = { 'cluster.https_address': address, ...(before['core.https_address'] === '' ? { 'core.https_address': address } : {}) };
    await this.config.update(ctx, wanted, { replace: false });
    return () => this.config.update(ctx, before, { replace: false }).catch((error: unknown) => this.logger.warn('Could not put the addresses back', { error: messageOf(error) }));
  }
}

function withPort(address: string): string {
  return formatListenAddress(parseListenAddress(address));
}
