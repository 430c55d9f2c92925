import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { AppError, internal, messageOf, newUuid, unavailable, type RequestContext } from '#kernel';
import type { Ballast } from './ballast.js';
import type { EntryApplier } from './entry-applier.js';
import type { LogEntry } from '#platform/raft';
import { OpenTransaction } from './open-transaction.js';
import { describeFailure, isBusy, isDiskFull } from './sqlite-errors.js';
import type { Tx } from './transaction.js';
import type { TypeOrmConnection } from './typeorm/typeorm-connection.js';
import { headAfter, type Writer } from './writer.js';

/** A group is closed once its changeset is this large (hazards C3). */
const groupBytes = 256 * 1024;
/** How much is written, roughly, before the changeset is measured exactly. */
const measureEveryBytes = 64 * 1024;
const bytesPerChange = 128;
/** More would hold up the event loop for too long at once. */
const groupTransactions = 256;
/** A function that takes longer than this waits for something a transaction must not wait for. */
const functionTimeoutMs = 10_000;
/** How long one group may lose against other members' entries before its callers are told. */
const conflictPatienceMs = 10_000;

interface Pending {
  readonly ctx: RequestContext;
  readonly fn: (tx: Tx) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether what the function read is known to have been the newest when it was asked for. */
  confirmed: boolean;
}

/** How a function ended. It is told to its caller only after the commit, since it may rest on rows of others in the group. */
interface Outcome {
  readonly pending: Pending;
  readonly tx: OpenTransaction;
  readonly failed: boolean;
  readonly value: unknown;
}

/** A try whose entry may stand in the log. */
interface Unsettled {
  readonly outcomes: readonly Outcome[];
  /** Of its entry. */
  readonly index: number;
}

/** What a try came to. `appended`: it stands in the log, so what was read was the newest. */
interface Committed {
  readonly outcomes: readonly Outcome[];
  readonly appended: boolean;
}

export interface RunnerParts {
  readonly writer: Writer;
  readonly applier: EntryApplier;
  readonly typeorm: TypeOrmConnection;
  readonly ballast: Ballast;
  /** Of the database, for messages. */
  readonly directory: string;
  /** Waits until what was written elsewhere is applied here (`Database.assertFresh`). */
  readonly assertFresh: (ctx: RequestContext) => Promise<void>;
}

/**
 * The only way to open a transaction.
 *
 * Transactions run one after the other on the one write connection. Those that come while a group is being committed run together
 * afterwards, one savepoint each, and are committed as one entry of the log. When another member's entry came first, the group is
 * rolled back, the entry applied, and the functions run again.
 */
@Injectable()
export class TransactionRunner {
  private readonly queue: Pending[] = [];
  private readonly inside = new AsyncLocalStorage<OpenTransaction>();
  private working: Promise<void> | null = null;
  private lastGroup = 1;
  private closed = false;

  constructor(private readonly parts: RunnerParts) {}

  /**
   * Runs `fn` in a transaction and resolves with its result once that is committed. If `fn` throws, its rows alone are rolled back.
   *
   * `fn` may run more than once, so it reads and changes rows and does nothing else: no host work, no call, no event (use
   * `tx.afterCommit`). Everything its decision rests on is read inside it. Rejects with `unavailable` when nothing can be committed.
   */
  run<T>(ctx: RequestContext, fn: (tx: Tx) => T | Promise<T>): Promise<T> {
    if (this.inside.getStore()?.open) return Promise.reject(internal('TransactionRunner.run was called inside a transaction: pass the transaction on'));
    if (this.closed) return Promise.reject(unavailable('The database is closed'));
    return new Promise<T>((resolve, reject) => {
      this.enqueue({ ctx, fn, resolve: resolve as (value: unknown) => void, reject, confirmed: ctx.unconfirmed !== true });
    });
  }

  /** Refuses new transactions and waits for those under way. */
  async close(): Promise<void> {
    this.closed = true;
    await this.working;
  }

  private enqueue(pending: Pending): void {
    this.queue.push(pending);
    this.working ??= this.work();
  }

  private async work(): Promise<void> {
    // Callers of one turn of the loop go together. After a group of several its callers are about to come again: let them all.
    await (this.lastGroup > 1 ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve());
    while (this.queue.length > 0) {
      await this.parts.writer.mutex.run(() => this.commitGroup());
      // The loop gets its turn between two groups, whatever the load.
      if (this.queue.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.working = null;
  }

  private async commitGroup(): Promise<void> {
    const taken: Pending[] = [];
    const next = (): Pending | undefined => {
      const pending = this.queue.shift();
      if (pending) taken.push(pending);
      return pending;
    };
    try {
      await this.commit(next);
    } catch (error) {
      await this.afterFailure(taken, error);
    } finally {
      this.lastGroup = taken.length;
    }
  }

  private async afterFailure(taken: readonly Pending[], error: unknown): Promise<void> {
    // The file is locked or the log does not answer: true for everybody who waits.
    const forAll = taken.length === 0 || isBusy(error) || AppError.is(error, 'unavailable');
    if (forAll || taken.length === 1) {
      const concerned = taken.length === 0 ? this.queue.splice(0) : taken;
      for (const pending of concerned) pending.reject(describeFailure(error, this.parts.directory));
      return;
    }
    // One of them spoiled it: each gets its own chance and its own answer.
    for (const pending of taken) {
      await this.commit(once([pending])).catch((own: unknown) => pending.reject(describeFailure(own, this.parts.directory)));
    }
  }

  /** Throws only when nothing is known to be committed and no caller was answered. */
  private async commit(next: () => Pending | undefined): Promise<void> {
    const deadline = performance.now() + conflictPatienceMs;
    const seen: Pending[] = [];
    // By the id of their entry: appends that nobody confirmed. Any of them may turn up in the log (hazards C1).
    const unsettled = new Map<string, Unsettled>();
    let source = (): Pending | undefined => {
      const pending = next();
      if (pending) seen.push(pending);
      return pending;
    };
    for (;;) {
      try {
        const committed = await this.attempt(source, unsettled);
        if (committed) return this.answer(committed, seen);
      } catch (error) {
        // A full disk has a reserve, so that what frees space can still be recorded.
        // While an earlier try may still be in the log, nobody may be given a chance of his own: it could be his second.
        if (unsettled.size > 0 && !AppError.is(error, 'unavailable')) throw unavailable(`Failed committing: ${messageOf(error)}`, { cause: error });
        if (!isDiskFull(error, this.parts.directory) || !this.parts.ballast.release()) throw error;
      }
      if (performance.now() > deadline) throw unavailable('Failed committing: other members were faster for too long, try again');
      source = once(seen);
    }
  }

  /** One try. Null = nothing was committed, and what other members wrote is applied now; otherwise what was committed, this time or before. */
  private async attempt(source: () => Pending | undefined, unsettled: Map<string, Unsettled>): Promise<Committed | null> {
    const { writer } = this.parts;
    const outcomes: Outcome[] = [];
    let entry: LogEntry | null = null;
    let appended: boolean;
    await writer.begin(true);
    try {
      const changeset = await this.runFunctions(source, outcomes);
      entry = changeset.length === 0 ? null : writer.sealNext({ id: newUuid(), requestor: requestors(outcomes), kind: 'rows', payload: changeset });
      if (entry === null) writer.log.abandon();
      const answer = entry === null || this.append(entry);
      // Not awaited without need: a member that stands alone commits in one turn of the loop.
      appended = answer instanceof Promise ? await answer : answer;
      if (appended) writer.commit(entry && headAfter(entry));
    } catch (error) {
      writer.rollback();
      if (!(error instanceof UnknownOutcome)) {
        writer.log.abandon();
        throw error;
      }
      unsettled.set(error.entryId, { outcomes, index: entry!.index });
      return this.settle(unsettled, error);
    }
    if (!appended) {
      writer.rollback();
      // "No" is not the whole truth: a request that was slow is sent twice, and others may have written between the one that went in and the one that is answered.
      if (entry !== null) unsettled.set(entry.id, { outcomes, index: entry.index });
      return this.settle(unsettled, null);
    }
    if (entry) writer.parts.feed.publish(entry.payload);
    return { outcomes, appended: entry !== null };
  }

  private append(entry: LogEntry): boolean | Promise<boolean> {
    const result = this.parts.writer.log.append(this.parts.writer.head, entry);
    if (!(result instanceof Promise)) return result.appended;
    return result.then(({ appended }) => appended, (error: unknown) => {
      // Refused before it was sent.
      throw AppError.is(error, 'invalid') ? error : new UnknownOutcome(entry.id, error);
    });
  }

  /**
   * A lost answer is "unknown", never "no": the log says whether an entry went in (hazards C1). One that is not there may still come, but only until
   * another one takes its place, so going on with the next try is safe, and its id is kept until then.
   */
  private async settle(unsettled: Map<string, Unsettled>, unknown: UnknownOutcome | null): Promise<Committed | null> {
    let applied: ReadonlySet<string>;
    try {
      applied = await this.parts.applier.catchUp();
    } catch (error) {
      this.parts.writer.log.abandon();
      throw unknown ? unavailable(`Failed committing: ${messageOf(unknown.reason)}`, { cause: error }) : error;
    }
    for (const [id, { outcomes, index }] of unsettled) {
      if (applied.has(id)) return { outcomes, appended: true };
      if (index <= this.parts.writer.head.index) unsettled.delete(id);
    }
    return null;
  }

  private async runFunctions(source: () => Pending | undefined, outcomes: Outcome[]): Promise<Uint8Array> {
    const { connection } = this.parts.writer;
    const session = connection.db.createSession();
    let sinceMeasured = 0;
    let changesBefore = connection.totalChanges();
    try {
      while (outcomes.length < groupTransactions) {
        const pending = source();
        if (!pending) break;
        connection.writtenBytes = 0;
        const outcome = this.runFunction(pending);
        outcomes.push(outcome instanceof Promise ? await outcome : outcome);
        const changes = connection.totalChanges();
        sinceMeasured += connection.writtenBytes + (changes - changesBefore) * bytesPerChange;
        changesBefore = changes;
        if (sinceMeasured > measureEveryBytes) {
          sinceMeasured = 0;
          if (session.changeset().length >= groupBytes) break;
        }
      }
      return session.changeset();
    } finally {
      session.close();
    }
  }

  /** Stays synchronous when the function is. Throws when the transaction itself is lost, not when the function fails. */
  private runFunction(pending: Pending): Outcome | Promise<Outcome> {
    const { writer, typeorm } = this.parts;
    const tx = new OpenTransaction({ connection: writer.connection, typeorm, layout: writer.layout }, writer.parts.clock.now());
    writer.connection.control('SAVEPOINT one').run();
    writer.guard.rowsOnly = true;
    let value: unknown;
    try {
      value = this.inside.run(tx, pending.fn, tx);
    } catch (error) {
      return this.endFunction({ pending, tx, failed: true, value: error });
    }
    if (!(value instanceof Promise)) return this.endFunction({ pending, tx, failed: false, value });
    return withTimeout(value).then(
      (result) => this.endFunction({ pending, tx, failed: false, value: result }),
      (error: unknown) => this.endFunction({ pending, tx, failed: true, value: error }),
    );
  }

  private endFunction(outcome: Outcome): Outcome {
    const { writer, directory } = this.parts;
    writer.guard.rowsOnly = false;
    outcome.tx.close();
    // SQLite ends the whole transaction by itself on some errors, a full disk above all.
    if (!writer.connection.db.isTransaction || (outcome.failed && isDiskFull(outcome.value, directory))) throw outcome.failed ? outcome.value : internal('The transaction was ended by an error its function ignored');
    if (outcome.failed) writer.connection.control('ROLLBACK TO one').run();
    writer.connection.control('RELEASE one').run();
    return outcome;
  }

  /** `seen`: everybody the commit took from the queue; who is not among the outcomes goes back. */
  private answer({ outcomes, appended }: Committed, seen: readonly Pending[]): void {
    const answered = new Set(outcomes.map(({ pending }) => pending));
    this.queue.unshift(...seen.filter((pending) => !answered.has(pending)));
    for (const outcome of outcomes) {
      if (appended || outcome.pending.confirmed) this.tell(outcome);
      else void this.confirm(outcome, this.parts.writer.head.index);
    }
  }

  /** It changed nothing, or failed, on rows that may have been old: it is told when they were not, and runs again when they were. */
  private async confirm(outcome: Outcome, seenIndex: number): Promise<void> {
    const { pending } = outcome;
    try {
      await this.parts.assertFresh(pending.ctx);
      pending.confirmed = true;
      if (this.parts.writer.head.index === seenIndex) this.tell(outcome);
      else if (this.closed) throw unavailable('The database is closed');
      else this.enqueue(pending);
    } catch (error) {
      pending.reject(describeFailure(error, this.parts.directory));
    }
  }

  private tell({ pending, tx, failed, value }: Outcome): void {
    if (failed) {
      pending.reject(describeFailure(value, this.parts.directory));
      return;
    }
    for (const hook of tx.hooks) {
      try {
        hook();
      } catch (error) {
        this.parts.writer.parts.logger.error('A hook after a commit failed', { requestId: pending.ctx.requestId, err: messageOf(error) });
      }
    }
    pending.resolve(value);
  }
}

/** An append ended without an answer. Internal to the runner: callers see an AppError. */
class UnknownOutcome {
  constructor(readonly entryId: string, readonly reason: unknown) {}
}

function once(pendings: readonly Pending[]): () => Pending | undefined {
  let position = 0;
  return () => pendings[position++];
}

function requestors(outcomes: readonly Outcome[]): string {
  const names = new Set<string>();
  for (const { pending, failed } of outcomes) if (!failed) names.add(`${pending.ctx.requestor.protocol}:${pending.ctx.requestor.username}`);
  return [...names].join(',');
}

async function withTimeout(work: Promise<unknown>): Promise<unknown> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(internal(`The function of a transaction took longer than ${functionTimeoutMs / 1000} s`)), functionTimeoutMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
