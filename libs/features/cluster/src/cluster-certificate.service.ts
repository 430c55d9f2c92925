import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { z } from 'zod';
import type { ClusterCertificatePut } from '#api-types';
import { defaultProject, internal, invalid, messageOf, unavailable, type RequestContext, type Requestor } from '#kernel';
import { ClusterCertificates, type ServerCertificate } from '#platform/auth';
import { EventBus } from '#platform/events';
import { Peers } from '#ports';

const pair = z.object({ certificate: z.string(), key: z.string() });
const installMs = 10_000;

/** `PUT /1.0/cluster/certificate`: all members show another certificate at once, or none does. */
@Injectable()
export class ClusterCertificateUpdate implements OnModuleInit {
  constructor(
    private readonly certificates: ClusterCertificates,
    private readonly peers: Peers,
    private readonly events: EventBus,
  ) {}

  onModuleInit(): void {
    this.peers.handle('cluster.install-certificate', async (request: object, { requestor }) => {
      const { certificate, key } = pair.parse(request);
      await this.certificates.install(certificate, key);
      this.publish(requestor);
    });
  }

  async update(ctx: RequestContext, { cluster_certificate: certificate, cluster_certificate_key: key }: ClusterCertificatePut): Promise<void> {
    // Go's way of printing an error that is none.
    if (!certificate.includes('-----BEGIN CERTIFICATE-----')) throw invalid('Certificate must be base64 encoded PEM certificate: %!w(<nil>)');
    if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) throw invalid('Private key must be base64 encoded PEM key: %!w(<nil>)');
    assertPair(certificate, key);
    const former = this.certificates.current;
    if (former === null) throw internal('Server is not clustered');
    await this.exchange(ctx.requestor, { certificate, key }, former);
    this.publish(ctx.requestor);
  }

  private async exchange(requestor: Requestor, next: Pick<ServerCertificate, 'certificate' | 'key'>, former: ServerCertificate): Promise<void> {
    const done: number[] = [];
    try {
      for (const { id, address } of this.peers.others()) {
        await this.install(requestor, id, next).catch((error: unknown) => {
          throw unavailable(`failed to notify peer ${address}: ${messageOf(error)}`, { cause: error });
        });
        done.push(id);
      }
      await this.certificates.install(next.certificate, next.key);
    } catch (error) {
      for (const id of done) await this.install(requestor, id, { certificate: former.certificate, key: former.key }).catch(() => undefined);
      throw error;
    }
  }

  private install(requestor: Requestor, id: number, certificate: Pick<ServerCertificate, 'certificate' | 'key'>): Promise<unknown> {
    return this.peers.call(id, 'cluster.install-certificate', certificate, { timeoutMs: installMs, requestor });
  }

  /** Each member says it, as LXD's do. */
  private publish(requestor: Requestor): void {
    this.events.lifecycle({ action: 'cluster-certificate-updated', source: '/1.0/cluster/certificate', project: defaultProject, requestor });
  }
}

function assertPair(certificate: string, key: string): void {
  try {
    if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return;
  } catch (error) {
    throw invalid(`failed to load cluster TLS certificate: ${messageOf(error)}`, { cause: error });
  }
  throw invalid('failed to load cluster TLS certificate: tls: private key does not match public key');
}
