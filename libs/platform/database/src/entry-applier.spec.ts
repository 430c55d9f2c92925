import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { openTemporaryDatabase, type LogEntry, type OpenDatabase, type OpenOptions, type RowChange, type Tx } from './index.js';
import { sealEntry } from './log/entry-hash.js';
import { migrations } from './migrations/index.js';
import { MemoryLog } from './testing/memory-log.js';

const ctx = internalContext();

describe('Database.apply', () => {
  let source: OpenDatabase;
  const opened: OpenDatabase[] = [];
  const open = async (options: Partial<OpenOptions> = {}) => {
    const db = await openTemporaryDatabase(options);
    opened.push(db);
    return db;
  };
  beforeEach(async () => { source = await open(); });
  afterEach(async () => { for (const db of opened.splice(0)) await db.close(); });

  const write = (fn: (tx: Tx) => unknown) => source.runner.run(ctx, fn);
  const newest = async (db = source) => (await db.database.entries(db.database.head.index))[0] as LogEntry;
  const dump = (db: OpenDatabase) => db.console.dump('global', false).text;
  const refusal = (reason: string) => expect.objectContaining({ kind: 'unavailable', details: expect.objectContaining({ reason }) });

  /** A second database of the same history, brought to where the source stands. */
  const replica = async (options: Partial<OpenOptions> = {}) => {
    const { incarnation } = source.database.head;
    const db = await open({ incarnation, log: () => new MemoryLog(incarnation), ...options });
    for (const entry of await source.database.entries(1)) await db.database.apply(entry);
    return db;
  };
  /** Tries an entry that must not fit, and shows that nothing changed. */
  const expectRefused = async (db: OpenDatabase, entry: LogEntry, reason: string) => {
    const before = dump(db);
    const head = db.database.head;
    await expect(db.database.apply(entry)).rejects.toEqual(refusal(reason));
    expect(dump(db)).toBe(before);
    expect(db.database.head).toEqual(head);
  };

  it('makes a second database equal, schema, cascades, triggers of views and swaps of unique names included', async () => {
    await write((tx) => {
      tx.sql.run("INSERT INTO projects (id, name, config) VALUES (2, 'a', '{}'), (3, 'b', '{}')");
      tx.sql.run("INSERT INTO profiles (id, project_id, name) VALUES (5, 2, 'x'), (6, 2, 'y')");
      tx.sql.run("INSERT INTO projects_config (project_id, key, value) VALUES (2, 'user.x', '1')");
    });
    await write((tx) => {
      tx.sql.run("UPDATE profiles SET name = 'tmp' WHERE id = 5");
      tx.sql.run("UPDATE profiles SET name = 'x' WHERE id = 6");
      tx.sql.run("UPDATE profiles SET name = 'y' WHERE id = 5");
    });
    const db = await replica();
    expect(dump(db)).toBe(dump(source));

    await write((tx) => tx.sql.run('DELETE FROM projects WHERE id = 2'));
    const changes: RowChange[] = [];
    db.feed.subscribe(['profiles', 'projects'], (more) => changes.push(...more));
    await db.database.apply(await newest());

    expect(dump(db)).toBe(dump(source));
    expect(db.database.head).toEqual(source.database.head);
    expect(changes.map(({ table, op, key }) => [table, op, ...key]).sort()).toEqual([['profiles', 'delete', 5], ['profiles', 'delete', 6], ['projects', 'delete', 2]]);
  });

  it('enforces foreign keys again after an entry was applied', async () => {
    const log = new MemoryLog(source.database.head.incarnation);
    const db = await replica({ log: () => log });
    log.entries.push(...(await source.database.entries(1)));
    await expect(db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO profiles (id, project_id, name) VALUES (9, 99, 'x')"))).rejects.toThrow('FOREIGN KEY');
  });

  it('refuses an entry of another history', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1')"));
    const { hash: _, ...fields } = await newest();

    await expectRefused(db, sealEntry({ ...fields, incarnation: 'another' }), 'incarnation');
  });

  it('refuses an entry that does not come next', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1')"));
    const skipped = await newest();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('b', '1')"));

    await expectRefused(db, await newest(), 'index');
    await db.database.apply(skipped);
    await expectRefused(db, skipped, 'index');
  });

  it('refuses an entry that builds on another one than was applied', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1')"));
    const { hash: _, ...fields } = await newest();

    await expectRefused(db, sealEntry({ ...fields, previous: 'f'.repeat(64) }), 'previous');
  });

  it('refuses an entry that was altered on its way', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1')"));

    await expectRefused(db, { ...(await newest()), payload: new Uint8Array() }, 'hash');
  });

  it('refuses an entry of another schema level, which SQLite would drop without a word', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1')"));
    const { hash: _, ...fields } = await newest();

    await expectRefused(db, sealEntry({ ...fields, level: fields.level + 1 }), 'level');
  });

  it('refuses an entry made with the same columns in another order, whose values SQLite would swap', async () => {
    const text = (columns: string) => `CREATE TABLE t (${columns}); CREATE TABLE id_counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL)`;
    const a = await open({ incarnation: 'h', migrations: [{ level: 1, sql: text('k TEXT NOT NULL PRIMARY KEY, x TEXT, y TEXT') }] });
    const b = await open({ incarnation: 'h', migrations: [{ level: 1, sql: text('k TEXT NOT NULL PRIMARY KEY, y TEXT, x TEXT') }] });
    await a.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO t (k, x, y) VALUES ('1', 'x', 'y')"));
    const { hash: _, ...fields } = await newest(a);

    await expectRefused(b, sealEntry({ ...fields, previous: b.database.head.hash }), 'layout');
  });

  it('refuses a change of a table it does not know, which SQLite would skip', async () => {
    const counters = 'CREATE TABLE id_counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);';
    const a = await open({ incarnation: 'h', migrations: [{ level: 1, sql: `${counters} CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY)` }] });
    const b = await open({ incarnation: 'h', migrations: [{ level: 1, sql: counters }] });
    await a.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO t (k) VALUES ('1')"));
    const { hash: _, ...fields } = await newest(a);
    await b.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO id_counters (name, value) VALUES ('x', 1)"));
    const ofB = await newest(b);

    await expectRefused(b, sealEntry({ ...fields, index: ofB.index + 1, previous: ofB.hash, layoutHash: ofB.layoutHash }), 'unknown-table');
  });

  it('refuses an entry that changes a row which is not as it was', async () => {
    const db = await replica();
    await write((tx) => tx.sql.run("UPDATE profiles SET description = 'a' WHERE id = 1"));
    const { hash: _, ...fields } = await newest();
    const changed = sealEntry({ ...fields });
    await db.database.apply(changed);

    await expectRefused(db, sealEntry({ ...fields, index: changed.index + 1, previous: changed.hash }), 'conflict');
  });

  it('refuses a schema level it does not know, or knows by another text', async () => {
    const { incarnation } = source.database.head;
    const [first, second] = await source.database.entries(1);
    const old = await open({ incarnation, log: () => new MemoryLog(incarnation), migrations: migrations.slice(0, 1) });
    await old.database.apply(first as LogEntry);
    await expectRefused(old, second as LogEntry, 'unknown-level');

    const other = await open({ incarnation, log: () => new MemoryLog(incarnation), migrations: [{ level: 1, sql: `${migrations[0]?.sql} -- altered` }] });
    await expectRefused(other, first as LogEntry, 'unknown-level');
  });
});
