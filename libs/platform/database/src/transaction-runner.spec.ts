import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internal, internalContext } from '#kernel';
import { isUniqueViolation, openTemporaryDatabase, type OpenDatabase, type RowChange, type Tx } from './index.js';

const ctx = internalContext();

describe('TransactionRunner.run', () => {
  let db: OpenDatabase;
  beforeEach(async () => { db = await openTemporaryDatabase(); });
  afterEach(() => db.close());

  const put = (key: string, value = 'v') => (tx: Tx) => tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?)', key, value);
  const keys = () => db.database.read.all<{ key: string }>('SELECT key FROM config ORDER BY key').map(({ key }) => key);

  it('commits what the function wrote and gives back its result', async () => {
    const result = await db.runner.run(ctx, (tx) => { put('a')(tx); return tx.sql.get<{ n: number }>('SELECT count(*) AS n FROM config')?.n; });

    expect(result).toBe(1);
    expect(keys()).toEqual(['a']);
  });

  it('shows readers nothing before the commit', async () => {
    const seen = await db.runner.run(ctx, async (tx) => { put('a')(tx); await Promise.resolve(); return keys(); });

    expect(seen).toEqual([]);
  });

  it('rolls back a function that throws and lets its neighbours proceed', async () => {
    const index = db.database.head.index;
    const results = await Promise.allSettled([
      db.runner.run(ctx, put('a')),
      db.runner.run(ctx, (tx) => { put('b')(tx); throw internal('no'); }),
      db.runner.run(ctx, async (tx) => { put('c')(tx); await Promise.resolve(); throw internal('no'); }),
      db.runner.run(ctx, put('d')),
    ]);

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(keys()).toEqual(['a', 'd']);
    expect(db.database.head.index).toBe(index + 1);
  });

  it('writes one entry for a group and none for a transaction without changes', async () => {
    const index = db.database.head.index;
    await Promise.all(Array.from({ length: 40 }, (_, i) => db.runner.run(ctx, put(`k${i}`))));
    expect(db.database.head.index).toBe(index + 1);

    await db.runner.run(ctx, (tx) => tx.sql.all('SELECT * FROM config'));
    expect(db.database.head.index).toBe(index + 1);
  });

  it('closes a group at 256 kB', async () => {
    const index = db.database.head.index;
    await Promise.all(Array.from({ length: 10 }, (_, i) => db.runner.run(ctx, put(`k${i}`, 'x'.repeat(100_000)))));

    expect(db.database.head.index).toBe(index + 4);
  });

  it('enforces foreign keys and tells a duplicate from other failures', async () => {
    await expect(db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO profiles (id, project_id, name) VALUES (9, 99, 'x')"))).rejects.toThrow('FOREIGN KEY');
    const error = await db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO profiles (id, project_id, name) VALUES (9, 1, 'default')")).catch((e: unknown) => e);
    expect(isUniqueViolation(error, 'profiles.project_id, profiles.name')).toBe(true);
  });

  it('refuses a NULL primary key', async () => {
    await expect(db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO config (key, value) VALUES (NULL, 'x')"))).rejects.toThrow('NOT NULL');
  });

  it('allows rows only: no schema, no local tables, no transaction control', async () => {
    for (const sql of ['CREATE TABLE x (id INTEGER NOT NULL PRIMARY KEY)', 'DROP TABLE config', 'UPDATE local_state SET level = 9', 'DELETE FROM local_log', 'COMMIT', 'PRAGMA foreign_keys = OFF', "ATTACH ':memory:' AS m"]) {
      await expect(db.runner.run(ctx, (tx) => tx.sql.run(sql)), sql).rejects.toThrow('not authorized');
    }
    await db.runner.run(ctx, put('a'));
    expect(keys()).toEqual(['a']);
  });

  it('runs hooks once, after the commit and before its caller goes on', async () => {
    const calls: string[] = [];
    await db.runner.run(ctx, (tx) => { put('a')(tx); tx.afterCommit(() => calls.push(keys().join())); });
    calls.push('caller');
    await db.runner.run(ctx, (tx) => { tx.afterCommit(() => calls.push('never')); throw internal('no'); }).catch(() => {});

    expect(calls).toEqual(['a', 'caller']);
  });

  it('survives a hook that throws', async () => {
    await db.runner.run(ctx, (tx) => { put('a')(tx); tx.afterCommit(() => { throw internal('no'); }); });

    expect(keys()).toEqual(['a']);
  });

  it('refuses a transaction inside a transaction instead of waiting for ever', async () => {
    await expect(db.runner.run(ctx, () => db.runner.run(ctx, put('a')))).rejects.toThrow('inside a transaction');
  });

  it('refuses the use of a transaction that has ended', async () => {
    let kept: Tx | undefined;
    await db.runner.run(ctx, (tx) => { kept = tx; void tx.manager; });

    expect(() => kept?.sql.get('SELECT 1')).toThrow('after its function had ended');
    expect(() => kept?.manager).toThrow('after its function had ended');
    expect(() => kept?.nextId('projects')).toThrow('after its function had ended');
  });

  it('gives ids that no row has, even one inserted by hand', async () => {
    const first = await db.runner.run(ctx, (tx) => tx.nextId('projects'));
    await db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO projects (id, name) VALUES (41, 'by-hand')"));

    expect(first).toBe(2);
    expect(await db.runner.run(ctx, (tx) => tx.nextId('projects'))).toBe(42);
    expect(await db.runner.run(ctx, (tx) => tx.nextId('anything'))).toBe(1);
  });

  it('keeps a bounded number of prepared statements', async () => {
    await db.runner.run(ctx, (tx) => { for (let i = 0; i < 2000; i++) tx.sql.get(`SELECT ${i} AS n`); });
    for (let i = 0; i < 2000; i++) db.database.read.get(`SELECT ${i} AS n`);

    expect((db.database.read as unknown as { cachedStatements: number }).cachedStatements).toBeLessThanOrEqual(512);
  });

  it('tells listeners which rows changed, by whom they were asked for', async () => {
    const profiles: RowChange[] = [];
    const stop = db.feed.subscribe(['profiles', 'config'], (changes) => profiles.push(...changes));
    await db.runner.run(ctx, (tx) => {
      tx.sql.run("INSERT INTO config (key, value) VALUES ('core.x', 'å')");
      tx.sql.run("INSERT INTO projects (id, name) VALUES (5, 'p')");
      tx.sql.run("UPDATE profiles SET description = 'new' WHERE id = 1");
    });
    stop();
    await db.runner.run(ctx, put('later'));

    expect(profiles).toEqual([
      { table: 'config', op: 'insert', key: ['core.x'], before: null, after: ['core.x', 'å'] },
      { table: 'profiles', op: 'update', key: [1], before: [1, undefined, undefined, 'Default LXD profile', undefined, undefined], after: [undefined, undefined, undefined, 'new', undefined, undefined] },
    ]);
  });

  it('waits for a lock of another program without holding up the event loop', async () => {
    const other = new DatabaseSync((db.database.read as unknown as { options: { path: string } }).options.path, { timeout: 0 });
    other.exec('BEGIN IMMEDIATE');
    let longestGapMs = 0;
    let last = performance.now();
    const probe = setInterval(() => { longestGapMs = Math.max(longestGapMs, performance.now() - last); last = performance.now(); }, 5);

    const waiting = db.runner.run(ctx, put('a'));
    await sleep(300);
    other.exec('COMMIT');
    await waiting;
    clearInterval(probe);
    other.close();

    expect(keys()).toEqual(['a']);
    expect(longestGapMs).toBeLessThan(150);
  });

  it('answers unavailable when another program keeps the lock', async () => {
    const other = new DatabaseSync((db.database.read as unknown as { options: { path: string } }).options.path, { timeout: 0 });
    other.exec('BEGIN IMMEDIATE');

    const results = await Promise.allSettled([db.runner.run(ctx, put('a')), db.runner.run(ctx, put('b'))]);
    other.exec('COMMIT');
    other.close();

    expect(results.map((result) => (result as PromiseRejectedResult).reason.kind)).toEqual(['unavailable', 'unavailable']);
    await db.runner.run(ctx, put('c'));
    expect(keys()).toEqual(['c']);
  });

  it('refuses work after it was closed', async () => {
    const last = db.runner.run(ctx, put('a'));
    await db.close();
    await last;

    await expect(db.runner.run(ctx, put('b'))).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
