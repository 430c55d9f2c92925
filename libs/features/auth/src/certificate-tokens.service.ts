import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { CertificatesPost, CertificateTokenMetadata } from '#api-types';
import { Clock, forbidden, internal, invalid, type RequestContext } from '#kernel';
import { ClusterCertificates } from '#platform/auth';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { reachableAddresses, ServerConfig } from '#features/server';
import { addExpiry } from './expiry.rules.js';

const kind = 'certificate.add-token';

/** What a client sends as password to redeem a token: base64 of JSON. */
interface PresentedToken {
  readonly client_name: string;
  readonly secret: string;
}

/** Tokens with which clients add themselves: operations of class `token` that hold the secret until somebody redeems it. */
@Injectable()
export class CertificateTokens {
  constructor(
    private readonly operations: OperationsService,
    private readonly config: ServerConfig,
    private readonly certificates: ClusterCertificates,
    private readonly clock: Clock,
  ) {}

  /** Issues a token. `invalid` when the server does not listen on the network. */
  issue(ctx: RequestContext, request: CertificatesPost): Promise<OperationHandle> {
    const addresses = reachableAddresses(this.config.get('core.https_address'));
    if (addresses.length === 0) throw invalid("Can't issue token when server isn't listening on network");
    const expiry = this.config.get('core.remote_token_expiry');
    const metadata: CertificateTokenMetadata = {
      addresses,
      ...(expiry === '' ? {} : { expiresAt: addExpiry(this.clock.now(), expiry).toISOString() }),
      fingerprint: this.certificates.presented.fingerprint,
      request: {
        name: request.name ?? '',
        type: request.type ?? '',
        restricted: request.restricted ?? false,
        projects: request.projects ?? [],
        certificate: '',
        password: request.password ?? '',
        token: true,
      },
      secret: randomBytes(32).toString('hex'),
    };
    return this.operations.runInMemory(ctx, { kind, class: 'token', description: 'Executing operation', resources: {}, metadata: { ...metadata } });
  }

  /**
   * The request behind a presented token, which is used up by this. Null when the text is no token at all; `forbidden` when no such
   * token is out, `internal` (500, as LXD) when it is too old.
   */
  async redeem(ctx: RequestContext, text: string): Promise<CertificateTokenMetadata['request'] | null> {
    const presented = decodeToken(text);
    if (presented === null) return null;
    for (const operation of this.operations.list(null)) {
      if (operation.init.kind !== kind || operation.status !== 'Running') continue;
      const metadata = operation.metadata as unknown as CertificateTokenMetadata;
      if (!sameSecret(metadata.secret, presented.secret)) continue;
      await this.operations.cancel(ctx, operation.id);
      if (metadata.expiresAt !== undefined && Date.parse(metadata.expiresAt) < this.clock.now().getTime()) {
        throw internal('Failed during search for certificate add token operation: Token has expired');
      }
      return metadata.request;
    }
    throw forbidden('No matching certificate add operation found');
  }
}

function decodeToken(text: string): PresentedToken | null {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Partial<PresentedToken> | null;
    return typeof token?.secret === 'string' && token.secret !== '' && typeof token.client_name === 'string' ? { client_name: token.client_name, secret: token.secret } : null;
  } catch {
    return null;
  }
}

function sameSecret(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
