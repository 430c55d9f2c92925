import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { decodeJoinToken } from '#api-types';
import { conflict, defaultProject, forbidden, internal, invalid, LocalMember, Logger, notFound, type RequestContext } from '#kernel';
import { ClusterCertificates, parsePem, toPem, type PeerCertificate } from '#platform/auth';
import { ClusterLog, Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { HttpRequestContext } from '#platform/http';
import { ServerConfig } from '#features/server';
import { MembersRepository, type MemberRow } from '../data/members.repository.js';
import { checkMemberName } from '../rules/member-change.rules.js';
import type { AcceptReply, AcceptRequest } from './join-messages.js';
import { JoinTokens } from './join-tokens.service.js';
import { trustMember, untrustMember } from './member-trust.js';

/** Since when a member has been joining; in its `config` until it has. */
export const joiningSince = 'volatile.joining_since';

/**
 * The door of the cluster, on every member: checks who knocks, writes a row for it that is `pending`, and hands out what a member needs. A row
 * whose joiner never comes back is removed by `PendingMembersReconciler`.
 */
@Injectable()
export class Admissions {
  constructor(
    private readonly tokens: JoinTokens,
    private readonly config: ServerConfig,
    private readonly members: MembersRepository,
    private readonly transactions: TransactionRunner,
    private readonly database: Database,
    private readonly log: ClusterLog,
    private readonly certificates: ClusterCertificates,
    private readonly local: LocalMember,
    private readonly logger: Logger,
    private readonly events: EventBus,
  ) {}

  async accept(ctx: RequestContext, request: AcceptRequest): Promise<AcceptReply> {
    if (!this.local.clustered) throw invalid('This server is not clustered');
    const certificate = this.ownCertificate(ctx, request);
    await this.authenticate(ctx, request);
    checkMemberName(request.name);
    const { level } = this.database.head;
    if (request.level < level) throw invalid(`The joining server knows schema levels up to ${request.level}, the cluster is at level ${level}: upgrade first`);
    const memberId = await this.transactions.run(ctx, (tx) => (request.former === undefined ? this.insert(tx, request, certificate) : this.takeBack(tx, request, certificate)));
    this.events.lifecycle({ action: 'certificate-created', source: `/1.0/certificates/${certificate.fingerprint}`, project: defaultProject, requestor: ctx.requestor });
    const { certificate: clusterCertificate, key: clusterKey } = this.certificates.presented;
    return { memberId, clusterCertificate, clusterKey, admission: await this.log.admission(memberId) };
  }

  /** The database, for a member that is joining or coming back; nobody else gets it here. */
  async snapshot(ctx: RequestContext): Promise<Readable> {
    const { read } = this.database;
    const rows = this.members.list(read, { pending: true });
    this.known(ctx, rows.filter(({ id, state }) => state === 'pending' || this.members.leftOut(read, id) !== null));
    return this.log.snapshot();
  }

  /** The joiner says that it gave up. */
  async abandon(ctx: RequestContext): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.known(ctx, this.members.list(tx.sql, { pending: true }).filter(({ state }) => state === 'pending'));
      untrustMember(tx, row);
      this.members.remove(tx, row);
    });
  }

  /** The one of `rows` whose certificate the caller shows. */
  private known(ctx: RequestContext, rows: readonly MemberRow[]): MemberRow {
    const fingerprint = peerOf(ctx)?.fingerprint;
    const row = rows.find(({ certificate }) => certificate !== '' && parsePem(certificate).fingerprint === fingerprint);
    if (row === undefined) throw forbidden('not authorized');
    return row;
  }

  /** Whoever holds the key of the certificate it names. */
  private ownCertificate(ctx: RequestContext, { certificate }: AcceptRequest): PeerCertificate {
    const named = parsePem(certificate);
    if (peerOf(ctx)?.fingerprint !== named.fingerprint) throw forbidden('not authorized');
    return named;
  }

  /** Whether it would be let in; a token stays good. For `init`, which asks its questions first. */
  async check(ctx: RequestContext, request: Pick<AcceptRequest, 'name' | 'password'>): Promise<void> {
    if (!this.local.clustered) throw invalid('This server is not clustered');
    await this.authenticate(ctx, request, false);
  }

  private async authenticate(ctx: RequestContext, { name, password }: Pick<AcceptRequest, 'name' | 'password'>, use = true): Promise<void> {
    const token = decodeJoinToken(password);
    if (token !== null) {
      if (token.server_name !== name) throw forbidden('not authorized');
      const found = await this.tokens.redeem(name, token.secret, { use });
      if (found === 'expired') throw internal('Token has expired');
      if (found === 'valid') return;
    } else if (password !== '' && (await this.config.isTrustPassword(password))) return;
    this.logger.warn('Refused a server that wanted to join', { address: ctx.requestor.address, name });
    throw forbidden('not authorized');
  }

  private insert(tx: Tx, request: AcceptRequest, certificate: PeerCertificate): number {
    const { name, address, architecture, level, apiExtensions } = request;
    const pem = toPem(certificate.x509.raw);
    // One that was killed while it joined, and tries again.
    const former = this.members.list(tx.sql, { pending: true }).find((row) => row.state === 'pending' && row.certificate === pem);
    if (former !== undefined) {
      untrustMember(tx, former);
      this.members.remove(tx, former);
    }
    if (this.members.find(tx.sql, name) !== undefined) throw conflict(`The cluster already has a member with name: ${name}`);
    if (this.members.byAddress(tx.sql, address) !== undefined) throw conflict(`The cluster already has a member with address: ${address}`);
    const row = { name, address, architecture, certificate: pem, version: { level, apiExtensions } };
    const id = this.members.insertPending(tx, row);
    this.members.update(tx, id, { description: '', roles: [], config: { [joiningSince]: tx.now.toISOString() }, failureDomain: 'default' });
    trustMember(tx, name, certificate);
    return id;
  }

  /** A member that a recovery left out keeps its number, and so what is on it. It says itself when it is back. */
  private takeBack(tx: Tx, request: AcceptRequest, certificate: PeerCertificate): number {
    const { name, address, architecture, level, apiExtensions } = request;
    const row = this.members.find(tx.sql, name);
    if (row === undefined) throw notFound(`The cluster has no member "${name}" any more: save what is needed there and join with an empty state directory`);
    if (this.members.leftOut(tx.sql, row.id) !== request.former) throw conflict(`No recovery of this cluster has left member "${name}" behind`);
    const other = this.members.byAddress(tx.sql, address);
    if (other !== undefined && other.id !== row.id) throw conflict(`The cluster already has a member with address: ${address}`);
    untrustMember(tx, row);
    this.members.setIdentity(tx, row.id, { name, address, architecture, certificate: toPem(certificate.x509.raw), version: { level, apiExtensions } });
    trustMember(tx, name, certificate);
    return row.id;
  }
}

function peerOf(ctx: RequestContext): PeerCertificate | null {
  return ctx instanceof HttpRequestContext ? ctx.peerCertificate : null;
}
