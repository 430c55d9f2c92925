import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { LocalMember, notFound, unavailable } from '#kernel';
import { ClusterCertificates, ServerCertificates } from '#platform/auth';
import { ChangeFeed, Database } from '#platform/database';
import type { PeerMember } from '#ports';

/** PEM texts for a connection to another member: who we are, and the only certificate it may show. */
export interface MemberTls {
  readonly certificate: string;
  readonly key: string;
  readonly cluster: string;
}

/** Where the members are, from their rows, and how they know each other. Held in memory: every call asks. */
@Injectable()
export class MemberDirectory implements OnModuleDestroy {
  private members: ReadonlyMap<number, PeerMember> | undefined;
  private hubs: readonly number[] | undefined;
  private readonly stops: readonly (() => void)[];

  constructor(
    private readonly database: Database,
    private readonly local: LocalMember,
    private readonly server: ServerCertificates,
    private readonly cluster: ClusterCertificates,
    feed: ChangeFeed,
  ) {
    const forget = (): void => {
      this.members = undefined;
      this.hubs = undefined;
    };
    this.stops = [feed.subscribe(['nodes'], forget), feed.onReset(forget)];
  }

  onModuleDestroy(): void {
    for (const stop of this.stops) stop();
  }

  /** @throws `not-found` for a member there is not. */
  get(memberId: number): PeerMember {
    const member = this.all().get(memberId);
    if (!member) throw notFound('Cluster member not found');
    return member;
  }

  has(memberId: number): boolean {
    return this.all().has(memberId);
  }

  others(): PeerMember[] {
    return this.local.clustered ? [...this.all().values()].filter(({ id }) => id !== this.local.id) : [];
  }

  /** Members with the role `event-hub`, by number. */
  eventHubs(): readonly number[] {
    if (!this.local.clustered) return [];
    return (this.hubs ??= this.database.read.all<{ id: number }>("SELECT id FROM nodes WHERE EXISTS (SELECT 1 FROM json_each(roles) WHERE value = 'event-hub') ORDER BY id").map(({ id }) => id));
  }

  /** @throws `unavailable` outside a cluster. */
  tls(): MemberTls {
    const cluster = this.cluster.current;
    if (cluster === null) throw unavailable('This server is not clustered');
    return { certificate: this.server.current.certificate, key: this.server.current.key, cluster: cluster.certificate };
  }

  /** Called after each change of what members show each other. */
  onTlsChange(listener: () => void): () => void {
    return this.cluster.onChange(listener);
  }

  private all(): ReadonlyMap<number, PeerMember> {
    return (this.members ??= new Map(this.database.read.all<PeerMember>('SELECT id, name, address FROM nodes ORDER BY id').map((member) => [member.id, member])));
  }
}
