import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ChangeFeed, Database } from '#platform/database';
import { parsePem } from './client-certificate.js';

/** A certificate the server knows. */
export interface TrustedCertificate {
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
  readonly type: 'client' | 'server' | 'metrics';
  readonly restricted: boolean;
  readonly projects: readonly string[];
  /** Set for the certificate of a member of this cluster: `nodes.id`. */
  readonly memberId?: number;
}

/** Which certificates are trusted. */
export abstract class TrustStore {
  abstract find(fingerprint: string): TrustedCertificate | undefined;
}

interface CertificateRow {
  fingerprint: string;
  type: TrustedCertificate['type'];
  restricted: number;
  projects: string;
}

/**
 * The `certificates` table and the members' own certificates, held in memory because every request over TLS asks. The change feed drops the copy after
 * each commit that touched them, here or on another member, so that revoking takes effect with the next request.
 */
@Injectable()
export class DatabaseTrustStore extends TrustStore implements OnModuleDestroy {
  private cache: Map<string, TrustedCertificate> | undefined;
  private readonly stops: readonly (() => void)[];

  constructor(private readonly database: Database, feed: ChangeFeed) {
    super();
    const forget = (): void => {
      this.cache = undefined;
    };
    this.stops = [feed.subscribe(['certificates', 'nodes'], forget), feed.onReset(forget)];
  }

  override find(fingerprint: string): TrustedCertificate | undefined {
    return (this.cache ??= this.load()).get(fingerprint);
  }

  onModuleDestroy(): void {
    for (const stop of this.stops) stop();
  }

  private load(): Map<string, TrustedCertificate> {
    const rows = this.database.read.all<CertificateRow>('SELECT fingerprint, type, restricted, projects FROM certificates');
    const trusted = new Map<string, TrustedCertificate>(
      rows.map((row) => [
        row.fingerprint,
        { fingerprint: row.fingerprint, type: row.type, restricted: row.restricted !== 0, projects: JSON.parse(row.projects) as string[] },
      ]),
    );
    for (const { id, certificate } of this.database.read.all<{ id: number; certificate: string }>("SELECT id, certificate FROM nodes WHERE certificate <> ''")) {
      const { fingerprint } = parsePem(certificate);
      trusted.set(fingerprint, { fingerprint, type: 'server', restricted: false, projects: [], memberId: id });
    }
    return trusted;
  }
}
