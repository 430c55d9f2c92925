import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Injectable } from '@nestjs/common';
import { Clock } from '#kernel';
import type { Identity } from './identity.js';
import { peerCertificateOf, type PeerCertificate } from './client-certificate.js';
import { peerUserName } from './peer-credentials.js';
import { ServerCertificates } from './server-certificates.js';
import { TrustStore } from './trust-store.js';

/** Settings the decision rests on; features/server keeps them up to date. */
export interface AuthSettings {
  /** `core.trust_ca_certificates`: in PKI mode, trust whoever the CA signed. */
  trustCaCertificates: boolean;
}

/** The user name is looked up on first use, since few requests need it. */
class LocalIdentity implements Identity {
  readonly protocol = 'unix';
  readonly address = '@';
  readonly trusted = true;
  readonly allowedProjects = null;
  private name: string | undefined;

  constructor(private readonly socket: Socket) {}

  get username(): string {
    return (this.name ??= peerUserName(this.socket));
  }
}

/**
 * Says who is at the other end of a connection. The unix socket is trusted, its mode is the guard; over TLS the client's
 * certificate decides. Asked for each request, so that a revoked certificate is out with its next one.
 */
@Injectable()
export class Authenticator {
  readonly settings: AuthSettings = { trustCaCertificates: false };
  private readonly local = new WeakMap<Socket, LocalIdentity>();

  constructor(
    private readonly trust: TrustStore,
    private readonly certificates: ServerCertificates,
    private readonly clock: Clock,
  ) {}

  identify(socket: Socket): Identity {
    if (socket instanceof TLSSocket) return this.identifyTls(socket);
    let identity = this.local.get(socket);
    if (identity === undefined) {
      identity = new LocalIdentity(socket);
      this.local.set(socket, identity);
    }
    return identity;
  }

  private identifyTls(socket: TLSSocket): Identity {
    const address = `${socket.remoteFamily === 'IPv6' ? `[${socket.remoteAddress}]` : socket.remoteAddress}:${socket.remotePort}`;
    const certificate = peerCertificateOf(socket);
    const known = certificate === null ? undefined : this.lookUp(certificate);
    if (certificate === null || known === undefined) {
      return { username: '', protocol: 'tls', address, trusted: false, allowedProjects: null };
    }
    return { username: certificate.fingerprint, protocol: 'tls', address, trusted: true, ...known };
  }

  private lookUp(certificate: PeerCertificate): Pick<Identity, 'certificateType' | 'memberId' | 'allowedProjects'> | undefined {
    const now = this.clock.now().getTime();
    if (now < certificate.notBefore || now > certificate.notAfter) return undefined;
    const signed = this.isSignedByCa(certificate);
    if (signed === false) return undefined;
    const entry = this.trust.find(certificate.fingerprint);
    if (entry !== undefined) {
      return {
        certificateType: entry.type, allowedProjects: entry.restricted && entry.type === 'client' ? entry.projects : null,
        ...(entry.memberId === undefined ? {} : { memberId: entry.memberId }),
      };
    }
    return signed === true && this.settings.trustCaCertificates ? { certificateType: 'client', allowedProjects: null } : undefined;
  }

  /** Null when there is no CA to ask. */
  private isSignedByCa(certificate: PeerCertificate): boolean | null {
    const { pki } = this.certificates;
    if (pki === null) return null;
    if (pki.revoked.has(certificate.x509.serialNumber.toUpperCase())) return false;
    return certificate.x509.checkIssued(pki.ca) && certificate.x509.verify(pki.ca.publicKey);
  }
}
