import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, invalid, LocalMember, notFound, precondition } from '#kernel';
import { openTemporaryDatabase, type LogEntry, type OpenDatabase, type Tx } from './index.js';
import { MemoryLog } from './testing/memory-log.js';

const ctx = internalContext();
const numbered = (id: number) => Object.assign(new LocalMember(), { id });

/** The write path over a log that others write too: what a cluster will do, with the log in memory. */
describe('TransactionRunner.run over a shared log', () => {
  let log: MemoryLog;
  let a: OpenDatabase;
  let b: OpenDatabase;
  let schema: readonly LogEntry[];
  const opened: OpenDatabase[] = [];

  beforeEach(async () => {
    const first = await openTemporaryDatabase();
    schema = await first.database.entries(1);
    log = new MemoryLog(first.database.head.incarnation);
    log.entries.push(...schema);
    const options = { incarnation: log.incarnation, log: () => log };
    [a, b] = [await openTemporaryDatabase({ ...options, member: numbered(1) }), await openTemporaryDatabase({ ...options, member: numbered(2) })];
    opened.push(first, a, b);
    await Promise.all([a.database.barrier(ctx), b.database.barrier(ctx)]);
  });
  afterEach(async () => { for (const db of opened.splice(0)) await db.close(); });

  const put = (key: string, value = 'v') => (tx: Tx) => tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?)', key, value);
  const increment = (tx: Tx) => {
    const value = Number(tx.sql.get<{ value: string }>("SELECT value FROM config WHERE key = 'n'")?.value ?? 0) + 1;
    tx.sql.run("INSERT INTO config (key, value) VALUES ('n', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", String(value));
    return value;
  };
  const dump = (db: OpenDatabase) => db.console.dump('global', false).text;

  it('shows through one member what was written through another, after a barrier', async () => {
    await a.runner.run(ctx, put('a'));
    expect(b.database.read.get("SELECT 1 FROM config WHERE key = 'a'")).toBeUndefined();
    await b.database.barrier(ctx);

    expect(b.database.read.get("SELECT 1 FROM config WHERE key = 'a'")).toBeDefined();
    expect(log.entries.at(-1)).toMatchObject({ member: 1, kind: 'rows', requestor: 'internal:' });
  });

  describe('for a request that waited for nothing', () => {
    const unconfirmed = { ...ctx, unconfirmed: true };
    const change = (tx: Tx) => {
      if (tx.sql.run("UPDATE config SET value = 'changed' WHERE key = 'a'").changes === 0) throw notFound('No such key');
    };
    let looks: number;
    beforeEach(() => {
      looks = 0;
      const latest = log.latest.bind(log);
      log.latest = () => {
        looks++;
        return latest();
      };
    });

    it('is enough when it appends, since that compares', async () => {
      await a.runner.run(unconfirmed, put('a'));

      expect(looks).toBe(0);
    });

    it('runs again on what was written elsewhere before it fails', async () => {
      await a.runner.run(ctx, put('a'));

      await b.runner.run(unconfirmed, change);

      expect(looks).toBe(1);
      expect(b.database.read.get("SELECT value FROM config WHERE key = 'a'")).toEqual({ value: 'changed' });
    });

    it('fails once the rows are known to be the newest, also beside others that change nothing', async () => {
      const nothing = b.runner.run(unconfirmed, () => 'nothing to do');
      const failing = expect(b.runner.run(unconfirmed, change)).rejects.toThrow('No such key');

      expect(await nothing).toBe('nothing to do');
      await failing;
      expect(looks).toBeGreaterThan(0);
    });

    it('does not tell a failure that may rest on old rows when the log is silent', async () => {
      log.silent = true;

      await expect(b.runner.run(unconfirmed, change)).rejects.toMatchObject({ kind: 'unavailable', message: 'the log did not answer' });
    });
  });

  it('tells at once whoever wrote more than the log takes, and nobody else', async () => {
    const append = log.append.bind(log);
    log.append = async (head, entry) => {
      if (entry.payload.length > 100_000) throw invalid('The change is too large');
      return append(head, entry);
    };

    const [large, small] = await Promise.allSettled([a.runner.run(ctx, put('large', 'x'.repeat(200_000))), a.runner.run(ctx, put('small'))]);

    expect(large).toMatchObject({ status: 'rejected', reason: { kind: 'invalid', message: 'The change is too large' } });
    expect(small).toMatchObject({ status: 'fulfilled' });
    expect(a.database.read.all('SELECT key FROM config')).toEqual([{ key: 'small' }]);
  });

  it('takes entries it hears of without reading the log, and reads what is missing before them', async () => {
    for (const key of ['a', 'b', 'c', 'd']) await a.runner.run(ctx, put(key));
    const [first, second, , fourth] = log.entries.slice(-4);
    const reads: number[] = [];
    const read = log.read.bind(log);
    log.read = (from) => { reads.push(from); return read(from); };

    await b.database.take([first!, second!]);
    await b.database.take([first!, second!]);
    expect(reads).toEqual([]);
    await b.database.take([fourth!]);

    expect(reads).toEqual([fourth!.index - 1]);
    expect(dump(b)).toBe(dump(a));
    await expect(b.database.take([{ ...fourth!, index: fourth!.index + 1 }])).rejects.toThrow('the entry before it is another one');
  });

  it('runs a function again when another member came first, and its hooks once', async () => {
    let hooks = 0;
    let runs = 0;
    const one = async (db: OpenDatabase) => db.runner.run(ctx, (tx) => { runs++; tx.afterCommit(() => hooks++); return increment(tx); });
    const values = await Promise.all(Array.from({ length: 20 }, (_, i) => sleep(i % 5).then(() => one(i % 2 === 0 ? a : b))));
    await Promise.all([a.database.barrier(ctx), b.database.barrier(ctx)]);

    expect(values.sort((x, y) => x - y)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(hooks).toBe(20);
    expect(runs).toBeGreaterThan(20);
    expect(dump(a)).toBe(dump(b));
  });

  it('takes a lost answer for unknown: the log says that the entry went in', async () => {
    log.nextAppend = 'answer-lost';
    expect(await a.runner.run(ctx, increment)).toBe(1);
    expect(await a.runner.run(ctx, increment)).toBe(2);
  });

  it('goes on with another try when the answer was lost and the entry is not in the log', async () => {
    log.nextAppend = 'entry-lost';
    expect(await Promise.all([a.runner.run(ctx, increment), a.runner.run(ctx, increment)])).toEqual([1, 2]);
    expect(log.appends).toBe(2);
  });

  it('does nothing twice when an entry given up for lost comes in after all', async () => {
    log.nextAppend = 'entry-late';
    expect(await a.runner.run(ctx, increment)).toBe(1);
    await b.database.barrier(ctx);
    expect(b.database.read.get("SELECT value FROM config WHERE key = 'n'")).toEqual({ value: '1' });
  });

  it('gives nobody a second chance while his first may be in the log', async () => {
    log.nextAppend = 'entry-late';
    log.refusal = precondition('the log refused');
    const results = await Promise.allSettled([a.runner.run(ctx, increment), a.runner.run(ctx, increment)]);
    await b.database.barrier(ctx);

    expect(results.map((result) => (result as PromiseRejectedResult).reason.kind)).toEqual(['unavailable', 'unavailable']);
    expect(b.database.read.get("SELECT value FROM config WHERE key = 'n'")).toEqual({ value: '2' });
  });

  it('does nothing twice when an append was sent twice and others wrote before the second was answered', async () => {
    log.nextAppend = 'sent-twice';
    log.between = () => b.runner.run(ctx, put('b'));

    await a.runner.run(ctx, put('a'));
    expect(await a.runner.run(ctx, increment)).toBe(1);
    log.nextAppend = 'sent-twice';
    log.between = () => b.runner.run(ctx, put('c'));
    expect(await a.runner.run(ctx, increment)).toBe(2);

    await b.database.barrier(ctx);
    expect(dump(a)).toBe(dump(b));
    expect(a.database.read.get("SELECT value FROM config WHERE key = 'n'")).toEqual({ value: '2' });
  });

  it('says so when the log does not answer at all, and goes on afterwards', async () => {
    log.silent = true;
    const results = await Promise.allSettled([a.runner.run(ctx, increment), a.runner.run(ctx, increment)]);
    log.silent = false;

    expect(results.map((result) => (result as PromiseRejectedResult).reason.kind)).toEqual(['unavailable', 'unavailable']);
    expect(await a.runner.run(ctx, increment)).toBe(1);
  });

  it('reads on without the log, and says that it may be old', async () => {
    await a.runner.run(ctx, put('a'));
    expect(await a.database.barrier(ctx)).toBe('fresh');
    log.silent = true;
    expect(await a.database.barrier(ctx)).toBe('stale');
    expect(a.database.read.get("SELECT 1 FROM config WHERE key = 'a'")).toBeDefined();
  });

  it('never holds up the event loop while an append is in flight and entries arrive', async () => {
    log.delayMs = 200;
    let longestGapMs = 0;
    let last = performance.now();
    const probe = setInterval(() => { longestGapMs = Math.max(longestGapMs, performance.now() - last); last = performance.now(); }, 5);

    const writes = [a.runner.run(ctx, put('a')), sleep(20).then(() => b.runner.run(ctx, put('b')))];
    await sleep(50);
    const seen = a.database.read.all('SELECT * FROM config');
    const applying = a.database.barrier(ctx);
    await Promise.all([...writes, applying]);
    clearInterval(probe);

    expect(seen).toEqual([]);
    expect(longestGapMs).toBeLessThan(150);
    expect(b.database.read.all('SELECT key FROM config ORDER BY key')).toEqual([{ key: 'a' }, { key: 'b' }]);
  });

  it('gathers what comes during an append into one entry', async () => {
    log.delayMs = 30;
    const before = log.entries.length;
    const first = a.runner.run(ctx, put('first'));
    await sleep(5);
    await Promise.all([first, ...Array.from({ length: 30 }, (_, i) => a.runner.run(ctx, put(`k${i}`)))]);

    expect(log.entries.length).toBe(before + 2);
  });
});
