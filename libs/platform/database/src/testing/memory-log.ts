import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '#kernel';
import { ReplicatedLog, type AppendResult, type LogEntry, type LogHead } from '#platform/raft';

/** A log in memory that several databases can share, as members of a cluster share theirs. Slow and faulty on demand. */
export class MemoryLog extends ReplicatedLog {
  readonly entries: LogEntry[] = [];
  /** Where the history begins when it does not begin empty. */
  base: LogHead | null = null;
  /** How long an append takes. */
  delayMs = 0;
  /**
   * What happens to the next append: its answer is lost after the entry went in, the entry is lost too, it goes in later, just before the next one, or it was
   * sent twice and `between` happens between the two, of which the second is answered.
   */
  nextAppend: 'answered' | 'answer-lost' | 'entry-lost' | 'entry-late' | 'sent-twice' = 'answered';
  between: () => Promise<unknown> = () => Promise.resolve();
  /** As when no majority answers: reads fail as well. */
  silent = false;
  /** What reads fail with from the next conflict on, once. */
  refusal: Error | null = null;
  private late: { readonly head: LogHead; readonly entry: LogEntry } | null = null;
  appends = 0;

  constructor(readonly incarnation: string) {
    super();
  }

  override async append(head: LogHead, entry: LogEntry): Promise<AppendResult> {
    this.appends++;
    const fate = this.nextAppend;
    this.nextAppend = 'answered';
    await sleep(this.delayMs);
    if (fate === 'entry-late') this.late = { head, entry };
    if (fate === 'entry-lost' || fate === 'entry-late' || this.silent) throw unavailable('the log did not answer');
    const late = this.late;
    this.late = null;
    if (late && late.head.index === this.head().index) this.entries.push(late.entry);
    const current = this.head();
    if (current.index !== head.index || current.hash !== head.hash || current.incarnation !== head.incarnation) return { appended: false, head: current };
    this.entries.push(entry);
    if (fate === 'sent-twice') {
      await this.between();
      return { appended: false, head: this.head() };
    }
    if (fate === 'answer-lost') throw unavailable('the log did not answer');
    return { appended: true };
  }

  override async read(from: number): Promise<readonly LogEntry[]> {
    if (this.silent) throw unavailable('the log did not answer');
    const { refusal } = this;
    if (refusal !== null && this.appends > 1) {
      this.refusal = null;
      throw refusal;
    }
    const first = from - 1 - (this.base?.index ?? 0);
    return this.entries.slice(first, first + 10);
  }

  override async latest(): Promise<LogHead> {
    if (this.silent) throw unavailable('the log did not answer');
    return this.head();
  }

  head(): LogHead {
    const last = this.entries.at(-1);
    if (!last) return this.base ?? { incarnation: this.incarnation, index: 0, hash: '', level: 0 };
    const level = last.kind === 'level' ? (JSON.parse(new TextDecoder().decode(last.payload)) as { level: number }).level : last.level;
    return { incarnation: this.incarnation, index: last.index, hash: last.hash, level };
  }
}
