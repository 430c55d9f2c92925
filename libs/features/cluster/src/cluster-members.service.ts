import { Inject, Injectable, Optional } from '@nestjs/common';
import type { ClusterMember } from '#api-types';
import { Clock, internal, LocalMember, notFound } from '#kernel';
import { Database, type Sql } from '#platform/database';
import { MemberLiveness } from '#ports';
import { MembersRepository, type MemberRow } from './data/members.repository.js';
import { memberEtag, memberView, newestVersion, type MemberPresence } from './rules/member-view.rules.js';

/** A member as placement weighs it. */
export interface MemberCandidate {
  readonly id: number;
  readonly name: string;
  readonly architecture: string;
  readonly state: MemberRow['state'];
  readonly groups: readonly string[];
  readonly config: Readonly<Record<string, string>>;
  readonly online: boolean;
  /** Instances on it, in all projects. */
  readonly instances: number;
}

/** Who is in the cluster, and how each member is. */
@Injectable()
export class ClusterMembers {
  constructor(
    private readonly repository: MembersRepository,
    private readonly database: Database,
    private readonly local: LocalMember,
    private readonly clock: Clock,
    @Optional() @Inject(MemberLiveness) private readonly liveness: MemberLiveness | null = null,
  ) {}

  /** 500 in LXD's words on a server that stands alone. */
  assertClustered(): void {
    if (!this.local.clustered) throw internal('Server is not clustered');
  }

  /** Those that have joined, by name. */
  list(sql: Sql = this.database.read): MemberRow[] {
    return this.repository.list(sql);
  }

  /** @throws `not-found` in LXD's words. */
  get(name: string, sql: Sql = this.database.read): MemberRow {
    const row = this.repository.find(sql, name);
    if (row === undefined || row.state === 'pending') throw notFound('Cluster member not found');
    return row;
  }

  byId(id: number): MemberRow | undefined {
    return this.repository.byId(this.database.read, id);
  }

  views(): ClusterMember[] {
    const rows = this.list();
    const newest = newestVersion(rows);
    return rows.map((row) => memberView(row, this.presence(row.id), newest, this.clock.now()));
  }

  view(row: MemberRow): ClusterMember {
    return memberView(row, this.presence(row.id), newestVersion(this.list()), this.clock.now());
  }

  etag(row: MemberRow): unknown {
    return memberEtag(row, this.presence(row.id).leads);
  }

  isOnline(id: number): boolean {
    return this.presence(id).online;
  }

  candidates(sql: Sql = this.database.read): MemberCandidate[] {
    const counts = new Map(sql.all<{ id: number; count: number }>('SELECT node_id AS id, count(*) AS count FROM instances GROUP BY node_id').map(({ id, count }) => [id, count]));
    return this.list(sql).map(({ id, name, architecture, state, groups, config }) => ({
      id, name, architecture, state, groups, config, online: this.isOnline(id), instances: counts.get(id) ?? 0,
    }));
  }

  private presence(id: number): MemberPresence {
    const isSelf = id === this.local.id;
    if (this.liveness === null) return { online: isSelf, lastSeenMs: isSelf ? this.clock.now().getTime() : null, leads: isSelf };
    return { online: isSelf || this.liveness.isOnline(id), lastSeenMs: this.liveness.lastSeenMs(id), leads: this.liveness.leaderId() === id };
  }
}
