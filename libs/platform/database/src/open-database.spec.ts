import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needsRoot, unmet } from '../../../../test/support/needs.js';
import { internalContext } from '#kernel';
import { OpenDatabase, type OpenOptions, type Tx } from './index.js';
import { migrations } from './migrations/index.js';

const ctx = internalContext();
const opened: OpenDatabase[] = [];
let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'roost-open-')); });
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
  rmSync(directory, { recursive: true, force: true });
});
const open = async (options: Partial<OpenOptions> = {}) => {
  const db = await OpenDatabase.open({ directory, synchronous: 'OFF', ballast: { bytes: 0 }, ...options });
  opened.push(db);
  return db;
};
const put = (key: string, value = 'v') => (tx: Tx) => tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?)', key, value);
const counters = 'CREATE TABLE id_counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);';

describe('OpenDatabase.open', () => {
  it('raises an empty file to the newest level, one entry of the log each, and keeps it', async () => {
    const first = await open();
    const entries = await first.database.entries(1);
    expect(entries.map(({ kind, level }) => [kind, level])).toEqual(migrations.map((_, level) => ['level', level]));
    expect(first.database.head).toMatchObject({ level: migrations.length, index: migrations.length });
    await first.runner.run(ctx, put('a'));
    const { head } = first.database;
    await first.close();

    const again = await open();
    expect(again.database.head).toEqual(head);
    expect(again.database.read.all('SELECT key FROM config')).toEqual([{ key: 'a' }]);
  });

  it('raises a database of every older level, with rows in it', async () => {
    for (let level = 1; level < migrations.length; level++) {
      const old = await open({ migrations: migrations.slice(0, level) });
      await old.runner.run(ctx, put(`level${level}`));
      await old.close();
    }
    const db = await open();

    expect(db.database.head.level).toBe(migrations.length);
    expect(db.database.read.all('SELECT key FROM config')).toHaveLength(migrations.length - 1);
  });

  it('keeps no read open, which would keep the write-ahead log from being taken in', async () => {
    const db = await open();
    await db.runner.run(ctx, put('a'));
    expect(db.database.read.all('SELECT key FROM config')).toHaveLength(1);
    expect(db.database.read.get('SELECT key FROM config')).toBeDefined();

    const other = new DatabaseSync(join(directory, 'global/db.bin'));
    expect(other.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()).toMatchObject({ busy: 0, log: 0 });
    other.close();
  });

  it('gives each new database a history of its own, whose entries hang together', async () => {
    const db = await open();
    await db.runner.run(ctx, put('a'));
    const entries = await db.database.entries(1);

    expect(entries.slice(1).map(({ previous }) => previous)).toEqual(entries.slice(0, -1).map(({ hash }) => hash));
    await db.close();
    rmSync(directory, { recursive: true });
    expect((await open()).database.head.incarnation).not.toBe(db.database.head.incarnation);
  });

  it('refuses a database of a newer level and leaves it as it was', async () => {
    const newer = await open({ migrations: [...migrations, { level: migrations.length + 1, sql: 'CREATE TABLE newer (id INTEGER NOT NULL PRIMARY KEY)' }] });
    const { head } = newer.database;
    await newer.close();

    await expect(open()).rejects.toMatchObject({ kind: 'precondition', message: `The database is at schema level ${migrations.length + 1}, this program knows levels up to ${migrations.length}: upgrade it first` });
    expect((await open({ migrations: [...migrations, { level: migrations.length + 1, sql: 'CREATE TABLE newer (id INTEGER NOT NULL PRIMARY KEY)' }] })).database.head).toEqual(head);
  });

  it('refuses a database whose levels were made by other texts', async () => {
    await (await open({ migrations: [{ level: 1, sql: `${counters} CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY)` }] })).close();

    await expect(open()).rejects.toMatchObject({ kind: 'precondition' });
  });

  it.each([
    ['no primary key', 'CREATE TABLE t (a TEXT)'],
    ['a key that may be NULL, whose rows no changeset holds', 'CREATE TABLE t (a TEXT PRIMARY KEY)'],
    ['AUTOINCREMENT', 'CREATE TABLE t (a INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT)'],
    ['a trigger on a table', 'CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END'],
    ['broken references', 'CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY REFERENCES t (a)); INSERT INTO t VALUES (1); CREATE TABLE u (a TEXT NOT NULL PRIMARY KEY REFERENCES t (a)); INSERT INTO u VALUES (2)'],
  ])('refuses a migration that leaves %s', async (_what, sql) => {
    await expect(open({ migrations: [{ level: 1, sql: counters }, { level: 2, sql }] })).rejects.toMatchObject({ kind: 'internal' });
    expect((await open({ migrations: [{ level: 1, sql: counters }] })).database.head.level).toBe(1);
  });

  it('lets nobody else on the host read its files', async () => {
    await open();
    for (const file of ['global/db.bin', 'global/db.bin-wal', 'local.db']) expect(statSync(join(directory, file)).mode & 0o077, file).toBe(0);
  });

  it('says that the file is damaged', async () => {
    await (await open()).close();
    writeFileSync(join(directory, 'global/db.bin'), 'x'.repeat(8192));

    await expect(open()).rejects.toMatchObject({ kind: 'internal', message: expect.stringContaining('is damaged') });
  });

  it('keeps the local log within its bounds', async () => {
    const db = await open({ localLog: { entries: 100, bytes: 50_000 } });
    for (let i = 0; i < 300; i++) await db.runner.run(ctx, put(`k${i}`));
    const byCount = db.database.read.get<{ n: number }>('SELECT count(*) AS n FROM local_log')?.n;
    for (let i = 0; i < 200; i++) await db.runner.run(ctx, put(`l${i}`, 'x'.repeat(2000)));
    const bytes = db.database.read.get<{ n: number }>('SELECT sum(length(payload)) AS n FROM local_log')?.n;

    expect(byCount).toBeGreaterThanOrEqual(100);
    expect(byCount).toBeLessThanOrEqual(100 + 64);
    expect(bytes).toBeLessThanOrEqual(50_000 + 64 * 2100);
  });
});

describe('a transaction cut off by a kill', () => {
  it('never happened, and the next start goes on', async () => {
    const db = await open();
    await db.runner.run(ctx, put('committed'));
    const copy = mkdtempSync(join(tmpdir(), 'roost-killed-'));
    await db.runner.run(ctx, async (tx) => {
      put('in flight')(tx);
      // What a kill at this instant would leave behind.
      execFileSync('cp', ['-r', `${directory}/.`, copy]);
      unlinkSync(join(copy, 'global/db.bin-shm'));
    });

    const after = await open({ directory: copy });
    expect(after.database.read.all('SELECT key FROM config')).toEqual([{ key: 'committed' }]);
    await after.runner.run(ctx, put('next'));
    expect((await after.database.entries(after.database.head.index)).length).toBe(1);
    await after.close();
    rmSync(copy, { recursive: true });
  });
});

describe.skipIf(unmet('a full disk', needsRoot))('a full disk', () => {
  beforeEach(() => { execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'roost-full', directory]); });
  afterEach(() => { execFileSync('umount', ['-l', directory]); });

  const filler = () => join(directory, 'filler');
  const fill = () => { try { writeFileSync(filler(), Buffer.alloc(8 * 1024 * 1024)); } catch { /* until it is full */ } };

  it('makes writes fail with a clear message, never reads, and is over when space returns', async () => {
    const db = await open();
    await db.runner.run(ctx, put('before'));
    fill();

    const results = await Promise.allSettled([db.runner.run(ctx, put('a', 'x'.repeat(100_000))), db.runner.run(ctx, put('b', 'x'.repeat(100_000)))]);
    for (const result of results) {
      expect((result as PromiseRejectedResult).reason).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('Failed committing: no space left on the database\'s file system') });
    }
    expect(() => db.localStore.set('b', 'k', 'x'.repeat(1_000_000))).toThrow('no space left');
    expect(db.database.read.all('SELECT key FROM config')).toEqual([{ key: 'before' }]);

    unlinkSync(filler());
    await db.runner.run(ctx, put('after'));
    db.localStore.set('b', 'k', 'v');
    expect(db.database.read.all('SELECT key FROM config ORDER BY key')).toEqual([{ key: 'after' }, { key: 'before' }]);
  });

  it('uses up the reserve first, so that what frees space can be recorded', async () => {
    const db = await open({ ballast: { bytes: 1024 * 1024, whenFreeBytes: 1024 * 1024, everyMs: 60_000 } });
    await db.runner.run(ctx, put('a'));
    await db.ballast.ensure();
    expect(db.ballast.held).toBe(true);
    fill();

    await db.runner.run(ctx, (tx) => { put('b', 'x'.repeat(100_000))(tx); tx.sql.run("DELETE FROM config WHERE key = 'a'"); });
    expect(db.ballast.held).toBe(false);
    expect(db.database.read.all('SELECT key FROM config')).toEqual([{ key: 'b' }]);

    await db.ballast.ensure();
    expect(db.ballast.held).toBe(false);
    unlinkSync(filler());
    await db.ballast.ensure();
    expect(db.ballast.held).toBe(true);
    fill();

    db.localStore.set('b', 'k', 'x'.repeat(100_000));
    expect(db.ballast.held).toBe(false);
  });
});
