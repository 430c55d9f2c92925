import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { z } from 'zod';
import { Clock, internalContext, invalid, LocalMember, type RequestContext } from '#kernel';
import { ClusterCertificates } from '#platform/auth';
import { EventBus } from '#platform/events';
import { OperationsService, type LiveOperation, type OperationHandle } from '#platform/operations';
import { Peers } from '#ports';
import { addExpiry } from '#features/auth';
import { ServerConfig } from '#features/server';
import { ClusterMembers } from '../cluster-members.service.js';

/** What a token lets in. */
const guest = z.enum(['member', 'witness']);
type Guest = z.infer<typeof guest>;

const kinds: Readonly<Record<Guest, string>> = { member: 'cluster.join-token', witness: 'cluster.witness-token' };

/** What a token's operation shows; `lxc cluster add` makes the token of it. */
export interface TokenMetadata {
  readonly addresses: readonly string[];
  readonly expiresAt?: string;
  readonly fingerprint: string;
  readonly secret: string;
  readonly serverName: string;
}

const question = z.object({ serverName: z.string(), secret: z.string().nullable(), use: z.boolean(), guest: guest.default('member') });
type Question = z.infer<typeof question>;
/** `unknown`: no such token here. */
type Found = 'valid' | 'expired' | 'unknown';

/**
 * Tokens with which members and witnesses join: operations of class `token`, in the memory of the member that issued them. Whoever is asked to let somebody in
 * asks the others whose token it is.
 */
@Injectable()
export class JoinTokens implements OnModuleInit {
  constructor(
    private readonly operations: OperationsService,
    private readonly members: ClusterMembers,
    private readonly config: ServerConfig,
    private readonly certificates: ClusterCertificates,
    private readonly peers: Peers,
    private readonly local: LocalMember,
    private readonly clock: Clock,
    private readonly events: EventBus,
  ) {}

  onModuleInit(): void {
    this.peers.handle('cluster.use-token', async (request: object) => {
      return { found: await this.lookHere(question.parse(request)) };
    });
  }

  /** A name has one token at a time: an older one is taken back. */
  async issue(ctx: RequestContext, serverName: string, guest: Guest = 'member'): Promise<OperationHandle> {
    if (!this.local.clustered) throw invalid('This server is not clustered');
    const views = this.members.list().filter(({ id }) => this.members.isOnline(id));
    const own = views.find(({ id }) => id === this.local.id);
    await this.everywhere({ serverName, secret: null, use: true, guest });
    const expiry = this.config.get('cluster.join_token_expiry');
    const metadata: TokenMetadata = {
      addresses: [...(own === undefined ? [] : [own]), ...views.filter((row) => row !== own)].map(({ address }) => address),
      ...(expiry === '' ? {} : { expiresAt: addExpiry(this.clock.now(), expiry).toISOString() }),
      fingerprint: this.certificates.presented.fingerprint,
      secret: randomBytes(32).toString('hex'),
      serverName,
    };
    const operation = await this.operations.runInMemory(ctx, { kind: kinds[guest], class: 'token', description: 'Executing operation', resources: { cluster: [] }, metadata: { ...metadata } });
    this.events.lifecycle({ action: 'cluster-token-created', source: '/1.0/cluster/members', project: ctx.project, requestor: ctx.requestor });
    return operation;
  }

  /** Looks for the token, on whichever member it is, and uses it up unless told otherwise. */
  redeem(serverName: string, secret: string, { use = true, guest = 'member' as Guest } = {}): Promise<Found> {
    return this.everywhere({ serverName, secret, use, guest });
  }

  private async everywhere(wanted: Question): Promise<Found> {
    const here = await this.lookHere(wanted);
    if (here !== 'unknown') return here;
    const others = this.peers.others().filter(({ id }) => this.peers.isOnline(id));
    const answers = await Promise.allSettled(others.map(({ id }) => this.peers.call<{ found: Found }>(id, 'cluster.use-token', wanted)));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.found] : [])).find((found) => found !== 'unknown') ?? 'unknown';
  }

  /** Null instead of a secret: whatever token is out for this name. */
  private async lookHere({ use, ...wanted }: Question): Promise<Found> {
    const token = this.operations.list(null).find((operation) => matches(operation, wanted));
    if (token === undefined) return 'unknown';
    const { expiresAt } = token.metadata as unknown as TokenMetadata;
    if (use) await this.operations.cancel(systemContext, token.id);
    return expiresAt !== undefined && Date.parse(expiresAt) < this.clock.now().getTime() ? 'expired' : 'valid';
  }
}

/** Used tokens end by themselves, whoever used them. */
const systemContext = internalContext();

function matches(operation: LiveOperation, { serverName, secret, guest }: Omit<Question, 'use'>): boolean {
  if (operation.init.kind !== kinds[guest] || operation.status !== 'Running') return false;
  const metadata = operation.metadata as unknown as TokenMetadata;
  return metadata.serverName === serverName && (secret === null || sameSecret(metadata.secret, secret));
}

function sameSecret(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
