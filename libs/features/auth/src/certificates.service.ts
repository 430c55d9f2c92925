import { Injectable } from '@nestjs/common';
import type { Certificate, CertificatePut, CertificatesPost } from '#api-types';
import { conflict, forbidden, internal, invalid, Logger, notFound, type RequestContext } from '#kernel';
import { allowedProjectsOf, commonNameOf, parseCertificate, parsePem, toPem, type PeerCertificate } from '#platform/auth';
import { TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag, createdResponse, emptyResponse, HttpRequestContext, operationResponse, parseRecursion, syncResponse, type ApiResponse } from '#platform/http';
import { ServerConfig } from '#features/server';
import { CertificateTokens } from './certificate-tokens.service.js';
import { CertificatesRepository, type CertificateRecord } from './certificates.repository.js';

const types = ['client', 'server', 'metrics'];

const urlOf = (fingerprint: string): string => apiUrl(['1.0', 'certificates', fingerprint]);

/** `/1.0/certificates`: the trust store, and the two ways in for those who are not trusted yet, password and token. */
@Injectable()
export class CertificatesService {
  constructor(
    private readonly repository: CertificatesRepository,
    private readonly transactions: TransactionRunner,
    private readonly tokens: CertificateTokens,
    private readonly config: ServerConfig,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  list(ctx: RequestContext, recursion: string | undefined): ApiResponse {
    const records = this.repository.list(this.repository.read).filter((record) => isVisible(ctx, record));
    return syncResponse(parseRecursion(recursion) === 0 ? records.map(({ fingerprint }) => urlOf(fingerprint)) : records.map(toApi));
  }

  get(ctx: RequestContext, prefix: string): ApiResponse {
    const record = this.find(this.repository.read, prefix);
    if (!isVisible(ctx, record)) throw notFound('Certificate not found');
    return syncResponse(toApi(record), { etag: etagOf(record) });
  }

  /** Adds a certificate or issues a token. Whoever is not trusted must bring a password or a token. */
  async add(ctx: RequestContext, body: CertificatesPost): Promise<ApiResponse> {
    const peer = peerOf(ctx);
    if (body.token === true) {
      if (!isAdministrator(ctx)) throw forbidden('not authorized');
      return this.issueToken(ctx, body);
    }
    const granted = ctx.trusted ? body : await this.admit(ctx, body);
    if (ctx.trusted && !body.certificate) throw invalid('Client is already trusted');
    if (!isAdministrator(ctx) && ctx.trusted) throw forbidden('not authorized');
    const certificate = body.certificate ? parseCertificate(decodeBase64(body.certificate)) : peer;
    if (!types.includes(granted.type ?? '')) throw invalid('Invalid certificate type');
    if (certificate === null) throw invalid('No client certificate provided');
    return this.store(ctx, certificate, granted);
  }

  async update(ctx: RequestContext, prefix: string, body: CertificatePut, options: { patch: boolean; ifMatch?: string }): Promise<ApiResponse> {
    const after = await this.transactions.run(ctx, (tx) => {
      const before = this.find(tx.sql, prefix);
      if (!isVisible(ctx, before)) throw forbidden('Only the certificate can be changed');
      checkEtag(options.ifMatch, etagOf(before));
      const next = merge(before, body, options.patch);
      if (!isAdministrator(ctx)) assertOnlyCertificateChanged(before, next);
      this.assertProjects(tx.sql, next.projects);
      this.repository.update(tx, before.fingerprint, next);
      return next;
    });
    this.publish(ctx, 'certificate-updated', after.fingerprint);
    return emptyResponse();
  }

  async remove(ctx: RequestContext, prefix: string): Promise<ApiResponse> {
    const fingerprint = await this.transactions.run(ctx, (tx) => {
      const record = this.find(tx.sql, prefix);
      this.repository.delete(tx, record.fingerprint);
      return record.fingerprint;
    });
    this.publish(ctx, 'certificate-deleted', fingerprint);
    return emptyResponse();
  }

  private async issueToken(ctx: RequestContext, body: CertificatesPost): Promise<ApiResponse> {
    if (body.certificate) throw invalid("Can't use certificate if token is requested");
    if (body.type !== 'client') throw invalid('Tokens can only be issued for client certificates');
    return operationResponse(await this.tokens.issue(ctx, body));
  }

  /** What an untrusted client is let in as: what its token says, or what it asks for with the password. */
  private async admit(ctx: RequestContext, body: CertificatesPost): Promise<CertificatesPost> {
    const password = body.password ?? '';
    const granted = password === '' ? null : await this.tokens.redeem(ctx, password);
    if (granted !== null) return granted;
    if (password === '' || !(await this.config.isTrustPassword(password))) {
      this.logger.warn('Bad trust password', { ip: ctx.requestor.address, url: '/1.0/certificates' });
      throw forbidden('not authorized');
    }
    // The password lets clients in; certificates of servers and scrapers are the administrator's to add.
    if (body.type === 'server' || body.type === 'metrics') throw forbidden('not authorized');
    return body;
  }

  private async store(ctx: RequestContext, certificate: PeerCertificate, granted: CertificatesPost): Promise<ApiResponse> {
    const record: CertificateRecord = {
      fingerprint: certificate.fingerprint,
      type: granted.type ?? '',
      name: granted.name || commonNameOf(certificate.x509) || 'remote client',
      certificate: toPem(certificate.x509.raw),
      restricted: granted.restricted ?? false,
      projects: [...new Set(granted.projects ?? [])],
    };
    await this.transactions.run(ctx, (tx) => {
      if (this.repository.findByPrefix(tx.sql, record.fingerprint).length > 0) throw conflict('Certificate already in trust store');
      this.assertProjects(tx.sql, record.projects);
      this.repository.insert(tx, record);
    });
    this.publish(ctx, 'certificate-created', record.fingerprint);
    return createdResponse(urlOf(record.fingerprint));
  }

  private find(sql: Sql, prefix: string): CertificateRecord {
    const [record, second] = this.repository.findByPrefix(sql, prefix);
    if (record === undefined) throw notFound('Certificate not found');
    if (second !== undefined) throw internal('More than one certificate matches');
    return record;
  }

  private assertProjects(sql: Sql, projects: readonly string[]): void {
    if (projects.some((name) => !this.repository.hasProject(sql, name))) throw notFound('Project not found');
  }

  private publish(ctx: RequestContext, action: string, fingerprint: string): void {
    this.events.lifecycle({ action, source: urlOf(fingerprint), project: 'default', requestor: ctx.requestor });
  }
}

function isAdministrator(ctx: RequestContext): boolean {
  return ctx.trusted && allowedProjectsOf(ctx) === null;
}

/** A restricted client sees its own certificate, an administrator all. */
function isVisible(ctx: RequestContext, record: CertificateRecord): boolean {
  return isAdministrator(ctx) || record.fingerprint === peerOf(ctx)?.fingerprint;
}

function peerOf(ctx: RequestContext): PeerCertificate | null {
  return ctx instanceof HttpRequestContext ? ctx.peerCertificate : null;
}

function toApi(record: CertificateRecord): Certificate {
  const { name, type, restricted, projects, certificate, fingerprint } = record;
  return { name, type, restricted, projects, certificate, fingerprint };
}

function etagOf(record: CertificateRecord): unknown {
  return toApi(record);
}

function merge(before: CertificateRecord, body: CertificatePut, patch: boolean): CertificateRecord {
  const base = patch ? before : { ...before, name: '', type: '', restricted: false, projects: [] };
  const type = body.type ?? base.type;
  if (type !== before.type) throw forbidden('The certificate type cannot be changed');
  const changed = body.certificate ? parsePem(body.certificate) : null;
  return {
    type,
    name: body.name ?? base.name,
    restricted: body.restricted ?? base.restricted,
    projects: [...new Set(body.projects ?? base.projects)],
    certificate: changed === null ? before.certificate : toPem(changed.x509.raw),
    fingerprint: changed?.fingerprint ?? before.fingerprint,
  };
}

function assertOnlyCertificateChanged(before: CertificateRecord, next: CertificateRecord): void {
  const same = before.name === next.name && before.restricted === next.restricted && before.projects.join() === next.projects.join();
  if (!same || before.fingerprint === next.fingerprint) throw forbidden('Only the certificate can be changed');
}

const base64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;

/** Go tells the first byte that is wrong; a text of impossible length is wrong from its last group on. */
function decodeBase64(text: string): Buffer {
  const bad = text.search(/[^A-Za-z0-9+/=\r\n]/);
  if (bad >= 0) throw invalid(`illegal base64 data at input byte ${bad}`);
  const length = text.replace(/[\r\n]/g, '').length;
  if (!base64.test(text) || length % 4 !== 0) throw invalid(`illegal base64 data at input byte ${length - (length % 4)}`);
  return Buffer.from(text, 'base64');
}
