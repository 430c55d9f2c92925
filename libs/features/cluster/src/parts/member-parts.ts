import { internalContext, notFound, type LocalMember, type RequestContext } from '#kernel';
import { notifyPeers, requirePeersOnline, type PeerMember, type Peers } from '#ports';
import type { Database, Sql, TransactionRunner, Tx } from '#platform/database';

/** Rows of something that each member has a part of. A part is `Pending` until its member's host has it. */
export interface PartRows {
  parts(sql: Sql, id: number): readonly { readonly memberId: number; readonly state: string }[];
  setPartState(tx: Tx, id: number, state: 'Created' | 'Deleting', memberId: number): void;
  setWholeState(tx: Tx, id: number, state: 'Pending' | 'Created' | 'Errored'): void;
}

export interface MemberPartsParts {
  readonly database: Database;
  readonly runner: TransactionRunner;
  readonly peers: Peers;
  readonly member: LocalMember;
  readonly rows: PartRows;
}

/** Whether a member belongs to the cluster; one that is about to join does not. */
export function hasJoined(sql: Sql, memberId: number): boolean {
  return sql.get("SELECT 1 FROM nodes WHERE id = ? AND state <> 'pending'", memberId) !== undefined;
}

/** What pools and networks of a cluster have in common: each member has a part of them on its host, made, changed and removed by that member. */
export class MemberParts {
  constructor(private readonly surroundings: MemberPartsParts) {}

  /** In order of names; without those that are about to join. */
  members(): PeerMember[] {
    return this.surroundings.database.read.all<PeerMember>("SELECT id, name, address FROM nodes WHERE state <> 'pending' ORDER BY name");
  }

  /** Undefined without a name and on a member that stands alone; `not-found` for one that is not there. */
  memberNamed(target: string): PeerMember | undefined {
    if (!this.surroundings.member.clustered || target === '') return undefined;
    const found = this.everybody().find(({ name }) => name === target);
    if (found === undefined) throw notFound('Cluster member not found');
    return found;
  }

  /** Names of members without a part, given the names of those with one. */
  missing(locations: readonly string[]): string[] {
    return this.members().map(({ name }) => name).filter((name) => !locations.includes(name));
  }

  /** @throws what `requirePeersOnline` does when another member is not there. */
  requireOnline(): void {
    requirePeersOnline(this.surroundings.peers, this.members().filter(({ id }) => id !== this.surroundings.member.id));
  }

  /** Calls every member that has a part; this one first, as whose error needs no address in front. */
  async onAll(ctx: RequestContext, id: number, call: string, request: object): Promise<void> {
    const { database, peers, member, rows } = this.surroundings;
    const having = new Set(rows.parts(database.read, id).map(({ memberId }) => memberId));
    if (having.has(member.id)) await peers.call(member.id, call, request, { timeoutMs: 0, requestor: ctx.requestor });
    await notifyPeers(peers, this.everybody().filter((one) => one.id !== member.id && having.has(one.id)), ctx, call, request);
  }

  /**
   * Has all parts removed from their hosts by `call`; the rows stay. `check` refuses, and is asked again in the transaction. Where a member refuses, the
   * parts that are still there count again, and the whole is `Errored` unless all are.
   */
  async destroy(ctx: RequestContext, id: number, call: string, request: object, check: (sql: Sql) => void): Promise<void> {
    const { database, runner, rows } = this.surroundings;
    check(database.read);
    this.requireOnline();
    await runner.run(ctx, (tx) => {
      check(tx.sql);
      rows.setWholeState(tx, id, 'Pending');
      for (const part of rows.parts(tx.sql, id)) if (part.state !== 'Pending') rows.setPartState(tx, id, 'Deleting', part.memberId);
    });
    try {
      await this.onAll(ctx, id, call, request);
    } catch (error) {
      await runner.run(internalContext(), (tx) => this.takeBack(tx, id));
      throw error;
    }
  }

  private takeBack(tx: Tx, id: number): void {
    const { rows } = this.surroundings;
    for (const part of rows.parts(tx.sql, id)) if (part.state === 'Deleting') rows.setPartState(tx, id, 'Created', part.memberId);
    rows.setWholeState(tx, id, rows.parts(tx.sql, id).every(({ state }) => state === 'Created') ? 'Created' : 'Errored');
  }

  /** Those that are about to join as well. */
  private everybody(): PeerMember[] {
    return this.surroundings.database.read.all<PeerMember>('SELECT id, name, address FROM nodes ORDER BY name');
  }
}
