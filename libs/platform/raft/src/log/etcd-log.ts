import { invalid, unavailable, type LocalMember, type Logger } from '#kernel';
import { isNoSpace, type EtcdClient } from '../etcd/etcd-client.js';
import { prefixEnd, type Compare, type KeyValue, type RequestOp } from '../etcd/etcd-messages.js';
import { decodeEntry, decodeHead, encodeEntry, encodeHead } from './entry-codec.js';
import { maxRequestBytes } from '../process/etcd-arguments.rules.js';
import { LogKeys } from './log-keys.js';
import type { QuorumMonitor } from './quorum-monitor.js';
import { ReplicatedLog, type AppendResult, type LogEntry, type LogHead } from './replicated-log.js';

/** An append without an answer is settled by reading after this long (architecture 3, Write path). */
const appendTimeoutMs = 1000;
/** And this much longer for a large one, as over a slow link to the voters. */
const bytesPerMs = 10_000;
/** Of a request, for its other keys. */
const reservedBytes = 64 * 1024;
/** How long the barrier and reads wait out an election (hazards D7). */
const readTimeoutMs = 4000;
/** Entries per range; halved while a reply is too large (hazards C3). */
const readEntries = 32;
/** How long the member whose turn it is may keep the others waiting before the next takes the turn away. */
const turnPatienceMs = 250;
const turnPollMs = 10;

export interface EtcdLogParts {
  readonly client: EtcdClient;
  readonly incarnation: string;
  readonly member: LocalMember;
  readonly quorum: QuorumMonitor;
  readonly logger: Logger;
}

/**
 * The log of a cluster: keys in etcd. Appending compares the whole head.
 *
 * Fairness: who loses the race leaves a key `turn/<member>` in the same transaction that told it so. As long as such a key is there, only the oldest
 * one's owner may append, and the append takes the key away. So a member loses at most as often as there are others before it. An owner that does
 * not use its turn within a quarter of a second loses it.
 */
export class EtcdLog extends ReplicatedLog {
  readonly keys: LogKeys;
  /** Revision this member's turn key was made at; null = not waiting. */
  private turn: string | null = null;

  constructor(private readonly parts: EtcdLogParts) {
    super();
    this.keys = new LogKeys(parts.incarnation);
  }

  override async append(head: LogHead, entry: LogEntry): Promise<AppendResult> {
    this.parts.quorum.assertNotLost();
    const blockedSince = performance.now();
    for (;;) {
      const answer = await this.tryAppend(head, entry);
      if (answer === 'appended') return { appended: true };
      if (!isSame(answer, head)) return { appended: false, head: answer };
      // Nobody came before us, but somebody else has the turn.
      if (performance.now() - blockedSince > turnPatienceMs) await this.takeOverTurn();
      else await new Promise((resolve) => setTimeout(resolve, turnPollMs));
    }
  }

  /** The group ended without an append: let the next have the turn. */
  override abandon(): void {
    if (this.turn === null) return;
    this.turn = null;
    this.parts.client.deleteRange({ key: this.keys.turn(this.parts.member.id) }).catch(() => undefined);
  }

  override async read(from: number): Promise<readonly LogEntry[]> {
    const { client, quorum } = this.parts;
    quorum.assertNotLost();
    const end = prefixEnd(this.keys.entries);
    for (let limit = readEntries; ; limit = Math.floor(limit / 2)) {
      try {
        const { kvs } = await this.counted((signal) => client.range({ key: this.keys.entry(from), rangeEnd: end, limit }, { timeoutMs: readTimeoutMs, signal }));
        const entries = kvs.map(({ value }) => decodeEntry(value));
        // A gap means that the entries were trimmed: the caller notices by the index.
        return entries;
      } catch (error) {
        if (limit <= 1 || !/larger than max|RESOURCE_EXHAUSTED/i.test(String((error as Error).message))) throw error;
      }
    }
  }

  override async latest(): Promise<LogHead> {
    this.parts.quorum.assertNotLost();
    const { kvs } = await this.counted((signal) => this.parts.client.range({ key: this.keys.head }, { timeoutMs: readTimeoutMs, signal }));
    return this.headFrom(kvs);
  }

  /** Makes the history: the head it begins with. False when it is there already. */
  async begin(head: LogHead): Promise<boolean> {
    const { succeeded } = await this.parts.client.txn({
      compare: [{ result: 'EQUAL', target: 'VERSION', key: this.keys.head, version: 0 }],
      success: [{ requestPut: { key: this.keys.head, value: encodeHead(head) } }, { requestPut: { key: this.keys.floor, value: Buffer.from(String(head.index + 1)) } }],
      failure: [],
    }, { timeoutMs: 15_000 });
    return succeeded;
  }

  private async tryAppend(head: LogHead, entry: LogEntry): Promise<LogHead | 'appended'> {
    const { client, member } = this.parts;
    const next: LogHead = { incarnation: entry.incarnation, index: entry.index, hash: entry.hash, level: entry.kind === 'level' ? levelOf(entry) : head.level };
    const mine = this.keys.turn(member.id);
    const bytes = encodeEntry(entry);
    if (bytes.length > maxRequestBytes - reservedBytes) throw invalid(`The change is too large for the cluster's log: ${toMiB(bytes.length)} MiB of ${toMiB(maxRequestBytes)}`);
    const success: RequestOp[] = [
      { requestPut: { key: this.keys.entry(entry.index), value: bytes } },
      { requestPut: { key: this.keys.head, value: encodeHead(next) } },
    ];
    if (this.turn !== null) success.push({ requestDeleteRange: { key: mine } });
    let reply;
    try {
      reply = await this.counted((signal) => client.txn({
        compare: [{ result: 'EQUAL', target: 'VALUE', key: this.keys.head, value: encodeHead(head) }, this.myTurn()],
        success,
        failure: [{ requestRange: { key: this.keys.head } }, { requestPut: { key: mine, value: Buffer.alloc(0) } }, { requestRange: { key: mine } }],
      }, { timeoutMs: appendTimeoutMs + bytes.length / bytesPerMs, signal }));
    } catch (error) {
      if (isNoSpace(error)) throw unavailable('The log of the cluster is full: free space on the voters', { cause: error });
      throw error;
    }
    if (reply.succeeded) {
      this.turn = null;
      return 'appended';
    }
    const current = this.headFrom(reply.responses[0]?.responseRange?.kvs ?? []);
    this.turn = reply.responses[2]?.responseRange?.kvs[0]?.createRevision ?? null;
    // Sent twice, and the first one's answer was lost or late.
    if (isSame(current, next)) {
      this.abandon();
      return 'appended';
    }
    return current;
  }

  /** Nobody waits, or nobody has waited longer than this member. */
  private myTurn(): Compare {
    const all = { key: this.keys.turns, rangeEnd: prefixEnd(this.keys.turns) };
    if (this.turn === null) return { ...all, result: 'EQUAL', target: 'VERSION', version: 0 };
    return { ...all, result: 'GREATER', target: 'CREATE', createRevision: String(BigInt(this.turn) - 1n) };
  }

  private async takeOverTurn(): Promise<void> {
    const { client, logger, member } = this.parts;
    const { kvs } = await client.range({ key: this.keys.turns, rangeEnd: prefixEnd(this.keys.turns), limit: 1, sortOrder: 'ASCEND', sortTarget: 'CREATE' });
    const [first] = kvs;
    if (!first || first.key.equals(this.keys.turn(member.id))) return;
    logger.warn('A member does not use its turn to write', { turn: first.key.toString() });
    await client.txn({
      compare: [{ result: 'EQUAL', target: 'CREATE', key: first.key, createRevision: first.createRevision }],
      success: [{ requestDeleteRange: { key: first.key } }],
      failure: [],
    });
  }

  private headFrom(kvs: readonly KeyValue[]): LogHead {
    const [head] = kvs;
    if (!head) throw unavailable(`The log has no history "${this.parts.incarnation}": the cluster was recovered or made anew without this member`, { details: { reason: 'incarnation' } });
    return decodeHead(head.value);
  }

  /** Every answer tells of a majority, and no call waits longer than there is hope. */
  private async counted<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { quorum } = this.parts;
    try {
      const result = await call(quorum.lostSignal);
      quorum.seen();
      return result;
    } catch (error) {
      quorum.missed(error);
      quorum.assertNotLost();
      throw error;
    }
  }
}

function isSame(a: LogHead, b: LogHead): boolean {
  return a.index === b.index && a.hash === b.hash && a.incarnation === b.incarnation && a.level === b.level;
}

function toMiB(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}

function levelOf(entry: LogEntry): number {
  return (JSON.parse(new TextDecoder().decode(entry.payload)) as { level: number }).level;
}
