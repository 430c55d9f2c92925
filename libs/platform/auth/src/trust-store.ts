import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ChangeFeed, Database } from '#platform/database';

/** A certificate the server knows. */
export interface TrustedCertificate {
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
  readonly type: 'client' | 'server' | 'metrics';
  readonly restricted: boolean;
  readonly projects: readonly string[];
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
 * The `certificates` table, held in memory because every request over TLS asks. The change feed drops the copy after each commit
 * that touched the table, here or on another member, so that revoking takes effect with the next request.
 */
@Injectable()
export class DatabaseTrustStore extends TrustStore implements OnModuleDestroy {
  private cache: Map<string, TrustedCertificate> | undefined;
  private readonly stop: () => void;

  constructor(private readonly database: Database, feed: ChangeFeed) {
    super();
    this.stop = feed.subscribe(['certificates'], () => (this.cache = undefined));
  }

  override find(fingerprint: string): TrustedCertificate | undefined {
    return (this.cache ??= this.load()).get(fingerprint);
  }

  onModuleDestroy(): void {
    this.stop();
  }

  private load(): Map<string, TrustedCertificate> {
    const rows = this.database.read.all<CertificateRow>('SELECT fingerprint, type, restricted, projects FROM certificates');
    return new Map(
      rows.map((row) => [
        row.fingerprint,
        { fingerprint: row.fingerprint, type: row.type, restricted: row.restricted !== 0, projects: JSON.parse(row.projects) as string[] },
      ]),
    );
  }
}
