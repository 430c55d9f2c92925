import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { z } from 'zod';
import { internal, internalContext, LocalMember, Logger, messageOf, type RequestContext } from '#kernel';
import { ClusterLog, Database, type ContentSums } from '#platform/database';
import { Peers } from '#ports';
import { WarningsWriter } from '#features/warnings';
import { ClusterMembers } from '../cluster-members.service.js';
import { compareCopies, judgedByLog, type CopyVerdict, type MemberSums } from './copy-comparison.rules.js';

const sumRequest = z.object({ index: z.int() });
const replaceRequest = z.object({ from: z.int(), reason: z.string() });
type SumRequest = z.infer<typeof sumRequest>;

/** Copies are read at one moment each; while somebody writes all the time, a few tries find one between two entries. */
const tries = 8;
const sumMs = 30_000;
const replaceMs = 60_000;

/** What a comparison came to, by names of members. */
export interface CopiesReport {
  readonly index: number;
  readonly agreeing: readonly string[];
  readonly diverged: readonly { readonly member: string; readonly tables: readonly string[]; readonly replaced: boolean }[];
  /** Those that were not there. */
  readonly silent: readonly string[];
}

/**
 * Looks whether all members hold the same rows. Entries that do not fit are noticed when they come; what a disk or another program changed behind the
 * daemon's back is not, until somebody writes that very row. A copy that differs from what most hold is replaced by one of theirs; where none is held by most, as of two members, one that contradicts the log.
 */
@Injectable()
export class DatabaseCopies implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly log: ClusterLog,
    private readonly peers: Peers,
    private readonly members: ClusterMembers,
    private readonly warnings: WarningsWriter,
    private readonly local: LocalMember,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.peers.handle('database.sum', (request: object) => this.sumHere(sumRequest.parse(request)));
    this.peers.handle('database.contradictions', async () => ({ tables: await this.database.contradictions() }));
    this.peers.handle('database.replace', async (request: object) => {
      const { from, reason } = replaceRequest.parse(request);
      await this.log.refetch(reason, () => this.peers.openStream(from, 'database.snapshot', {}, { bulk: true }));
    });
  }

  /** Null when no two members could be seen at the same place. Needs a majority. */
  async compare(ctx: RequestContext): Promise<CopiesReport | null> {
    for (let attempt = 0; attempt < tries; attempt++) {
      await this.database.assertFresh(ctx);
      const { index } = this.database.head;
      const asked = this.members.list().filter(({ id }) => this.members.isOnline(id));
      const answers = await Promise.all(asked.map(({ id }) => this.ask(id, { index })));
      const verdict = compareCopies(answers);
      if (verdict !== null) return this.act(verdict.undecided ? await this.judge(verdict, answers) : verdict, answers);
      await sleep(100 + Math.random() * 200 * attempt, undefined, { signal: ctx.signal });
    }
    return null;
  }

  private async act(verdict: CopyVerdict, answers: readonly MemberSums[]): Promise<CopiesReport> {
    const diverged = [];
    for (const { memberId, tables } of verdict.diverged) diverged.push({ member: this.nameOf(memberId), tables, replaced: await this.replace(memberId, tables, verdict) });
    const there = new Map(answers.flatMap(({ memberId, sums }) => (sums === null ? [] : [[memberId, sums.index]])));
    return {
      index: Math.max(...there.values()), agreeing: verdict.agreeing.map((id) => this.nameOf(id)), diverged,
      silent: this.members.list().filter(({ id }) => !there.has(id)).map(({ name }) => name),
    };
  }

  /** Where nobody can tell who is right, an administrator has to. */
  private async replace(memberId: number, tables: readonly string[], { agreeing, undecided }: CopyVerdict): Promise<boolean> {
    const from = agreeing[0]!;
    const difference = `The database of "${this.nameOf(memberId)}" differs from that of "${this.nameOf(from)}" in ${tables.join(', ')}`;
    this.logger.error('Copies of the database differ', { member: this.nameOf(memberId), tables: tables.join() });
    let outcome = 'neither was replaced, since no content is held by most members, and the log does not say which is right';
    let replaced = false;
    if (!undecided) {
      try {
        await this.peers.call(memberId, 'database.replace', { from, reason: difference }, { timeoutMs: replaceMs });
        outcome = 'it was replaced, and what it held is in backups/diverged.db there';
        replaced = true;
      } catch (error) {
        outcome = `replacing it failed: ${messageOf(error)}`;
      }
    }
    await this.warnings.raise(internalContext(), { type: 'Database copies differ', entity: { type: 'node', id: memberId }, message: `${difference}: ${outcome}` });
    return replaced;
  }

  /** Where one of those that answered does not say what the log makes of its rows, nobody is judged. */
  private async judge(verdict: CopyVerdict, answers: readonly MemberSums[]): Promise<CopyVerdict> {
    try {
      return judgedByLog(verdict, answers, await this.contradicting(answers));
    } catch (error) {
      this.logger.warn('Failed comparing copies of the database with the log', { error: messageOf(error) });
      return verdict;
    }
  }

  /** Members whose rows are not as the log has written them. */
  private async contradicting(answers: readonly MemberSums[]): Promise<Set<number>> {
    const asked = answers.filter(({ sums }) => sums !== null).map(({ memberId }) => memberId);
    const found = await Promise.all(asked.map(async (id) => {
      const { tables } = id === this.local.id ? { tables: await this.database.contradictions() } : await this.peers.call<{ tables: string[] }>(id, 'database.contradictions', {}, { timeoutMs: sumMs });
      return tables.length > 0;
    }));
    return new Set(asked.filter((_, at) => found[at]));
  }

  private async ask(memberId: number, request: SumRequest): Promise<MemberSums> {
    const sums = memberId === this.local.id ? this.sumHere(request) : this.peers.call<ContentSums>(memberId, 'database.sum', request, { timeoutMs: sumMs });
    return { memberId, sums: await sums.catch(() => null) };
  }

  private async sumHere({ index }: SumRequest): Promise<ContentSums> {
    await this.database.follow(index);
    return this.database.sum();
  }

  private nameOf(memberId: number): string {
    const row = this.members.byId(memberId);
    if (row === undefined) throw internal(`Member ${memberId} is gone`);
    return row.name;
  }
}
