import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '#kernel';
import { ReplicatedLog, type AppendResult, type LogEntry, type LogHead } from '#platform/raft';

/** A log in memory that several databases can share, as members of a cluster share theirs. Slow and faulty on demand. */
export class MemoryLog extends ReplicatedLog {
  readonly entries: LogEntry[] = [];
  /** How long an append takes. */
  delayMs = 0;
  /** What happens to the next append: its answer is lost after the entry went in, or the entry is lost too. */
  nextAppend: 'answered' | 'answer-lost' | 'entry-lost' = 'answered';
  appends = 0;

  constructor(readonly incarnation: string) {
    super();
  }

  override async append(head: LogHead, entry: LogEntry): Promise<AppendResult> {
    this.appends++;
    const fate = this.nextAppend;
    this.nextAppend = 'answered';
    await sleep(this.delayMs);
    if (fate === 'entry-lost') throw unavailable('the log did not answer');
    const current = this.head();
    if (current.index !== head.index || current.hash !== head.hash || current.incarnation !== head.incarnation) return { appended: false, head: current };
    this.entries.push(entry);
    if (fate === 'answer-lost') throw unavailable('the log did not answer');
    return { appended: true };
  }

  override read(from: number): Promise<readonly LogEntry[]> {
    return Promise.resolve(this.entries.slice(from - 1, from + 9));
  }

  override latest(): Promise<LogHead> {
    return Promise.resolve(this.head());
  }

  head(): LogHead {
    const last = this.entries.at(-1);
    return { incarnation: this.incarnation, index: this.entries.length, hash: last?.hash ?? '', level: last?.level ?? 0 };
  }
}
