import { Inject, Injectable, Optional } from '@nestjs/common';
import { decodeJoinToken, encodeJoinToken } from '#api-types';
import { conflict, forbidden, internal, invalid, LocalMember, Logger, notFound, type RequestContext } from '#kernel';
import { ClusterLog, Database, isUniqueViolation, TransactionRunner, type Sql } from '#platform/database';
import { formatListenAddress } from '#platform/http';
import { MemberLiveness } from '#ports';
import { WarningsWriter } from '#features/warnings';
import { MembersRepository } from '../data/members.repository.js';
import { JoinTokens, type TokenMetadata } from '../join/join-tokens.service.js';
import { checkMemberName } from '../rules/member-change.rules.js';
import type { AcceptWitnessReply, AcceptWitnessRequest, WitnessView } from './witness-messages.js';
import { WitnessesRepository, type WitnessRow } from './witnesses.repository.js';

/**
 * Machines that vote in the log and are no members: let in by token, listed, taken out. Here are their rows and their admission; when one votes is decided
 * where the voters are chosen.
 */
@Injectable()
export class Witnesses {
  constructor(
    private readonly tokens: JoinTokens,
    private readonly repository: WitnessesRepository,
    private readonly members: MembersRepository,
    private readonly transactions: TransactionRunner,
    private readonly database: Database,
    private readonly log: ClusterLog,
    private readonly local: LocalMember,
    private readonly warnings: WarningsWriter,
    private readonly logger: Logger,
    @Optional() @Inject(MemberLiveness) private readonly liveness: MemberLiveness | null = null,
  ) {}

  list(): WitnessView[] {
    this.assertClustered();
    return this.repository.list(this.database.read).map(({ id, name, address, voter }) => ({ id, name, address, voter, online: this.liveness?.isOnline(id) ?? false }));
  }

  /** The token with which the machine comes that is to be called so. */
  async add(ctx: RequestContext, name: string): Promise<string> {
    this.assertClustered();
    this.repository.assertKnown();
    checkMemberName(name);
    this.assertFree(this.database.read, name);
    const operation = await this.tokens.issue(ctx, name, 'witness');
    const { serverName, fingerprint, addresses, secret, expiresAt } = operation.api().metadata as unknown as TokenMetadata;
    return encodeJoinToken({ server_name: serverName, fingerprint, addresses: [...addresses], secret, ...(expiresAt === undefined ? {} : { expires_at: expiresAt }) });
  }

  /** A row that is there without its witness, since one of the two was killed, is removed as any other. */
  async accept(ctx: RequestContext, { token: text, host, peerPort, clientPort }: AcceptWitnessRequest): Promise<AcceptWitnessReply> {
    this.assertClustered();
    const token = decodeJoinToken(text);
    const found = token === null ? 'unknown' : await this.tokens.redeem(token.server_name, token.secret, { guest: 'witness' });
    if (found === 'expired') throw internal('Token has expired');
    if (token === null || found === 'unknown') {
      this.logger.warn('Refused a server that wanted to be a witness', { address: ctx.requestor.address });
      throw forbidden('not authorized');
    }
    const { server_name: name } = token;
    const address = formatListenAddress({ host, port: peerPort });
    const id = await this.transactions.run(ctx, (tx) => {
      this.assertFree(tx.sql, name);
      return this.repository.insert(tx, { name, address, raft: { peerPort, clientPort, id: '' } });
    }).catch((error: unknown) => {
      throw isUniqueViolation(error) ? conflict(`The cluster already has a witness with address: ${address}`, { cause: error }) : error;
    });
    return { id, admission: await this.log.admitWitness(id, host) };
  }

  /** It votes no more, then it hears of it, then its row goes; where that was interrupted it is asked again. */
  async remove(ctx: RequestContext, name: string): Promise<void> {
    this.assertClustered();
    const { id } = this.get(name);
    await this.log.release(id);
    await this.log.dismissWitness(id);
    await this.transactions.run(ctx, (tx) => this.repository.remove(tx, id));
    await this.warnings.resolve(ctx, { type: 'Offline cluster member', entity: { type: 'node', id } });
  }

  private get(name: string): WitnessRow {
    const row = this.repository.find(this.database.read, name);
    if (row === undefined) throw notFound(`The cluster has no witness "${name}"`);
    return row;
  }

  private assertFree(sql: Sql, name: string): void {
    if (this.members.find(sql, name) !== undefined) throw conflict(`The cluster already has a member with name: ${name}`);
    if (this.repository.find(sql, name) !== undefined) throw conflict(`The cluster already has a witness with name: ${name}`);
  }

  private assertClustered(): void {
    if (!this.local.clustered) throw invalid('This server is not clustered');
  }
}
