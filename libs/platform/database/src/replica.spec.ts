import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, LocalMember } from '#kernel';
import { openTemporaryDatabase, type OpenDatabase, type Tx } from './index.js';
import { migrations } from './migrations/index.js';
import { MemoryLog } from './testing/memory-log.js';

const ctx = internalContext();

describe('Replica', () => {
  let log: MemoryLog;
  let folder: string;
  let a: OpenDatabase;
  let b: OpenDatabase;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'roost-replica-'));
    log = new MemoryLog('history');
    a = await openTemporaryDatabase();
    b = await openTemporaryDatabase({ member: Object.assign(new LocalMember(), { id: 2 }) });
  });
  afterEach(async () => {
    await a.close();
    await b.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const put = (key: string, value = 'v') => (tx: Tx) => tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?)', key, value);
  const keys = (db: OpenDatabase) => db.database.read.all<{ key: string }>('SELECT key FROM config ORDER BY key').map(({ key }) => key);
  const share = async (): Promise<void> => {
    await a.replica.begin('history', '{"endpoints":[]}', put('enabled'), async (head) => { log.base = head; return log; });
  };
  const copyOfA = async (): Promise<string> => {
    const path = join(folder, `copy-${Math.random()}.db`);
    await a.database.copyTo(path);
    return path;
  };

  it('begins a history with the rows there are and those that make it a cluster', async () => {
    await a.runner.run(ctx, put('before'));
    await share();
    await a.runner.run(ctx, put('after'));

    expect(keys(a)).toEqual(['after', 'before', 'enabled']);
    expect(log.entries).toHaveLength(1);
    expect(a.database.head).toMatchObject({ incarnation: 'history', index: log.base!.index + 1 });
    expect(a.replica.settings).toBe('{"endpoints":[]}');
  });

  it('stays as it was when the log cannot be made', async () => {
    const { incarnation } = a.database.head;
    await expect(a.replica.begin('history', '{}', put('enabled'), () => Promise.reject(new Error('no etcd')))).rejects.toThrow('no etcd');

    expect(a.database.head.incarnation).toBe(incarnation);
    expect(a.replica.settings).toBeNull();
    await a.runner.run(ctx, put('goes on'));
    expect(keys(a)).toEqual(['goes on']);
  });

  it('takes over the content of another member and follows the same log from there', async () => {
    await b.runner.run(ctx, put('own'));
    await share();
    const path = await copyOfA();
    await a.runner.run(ctx, put('since the copy'));
    let resets = 0;
    b.feed.onReset(() => resets++);
    await b.replica.install(path, '{"endpoints":["x"]}', log);
    await b.database.barrier(ctx);
    await b.runner.run(ctx, put('through b'));
    await a.database.barrier(ctx);

    expect(keys(b)).toEqual(['enabled', 'since the copy', 'through b']);
    expect(b.console.dump('global', false).text).toBe(a.console.dump('global', false).text);
    expect(resets).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a copy of a newer schema and stays as it was', async () => {
    await share();
    const old = await openTemporaryDatabase({ migrations: migrations.slice(0, -1) });
    const path = await copyOfA();

    await expect(old.replica.install(path, '{}', log)).rejects.toMatchObject({ kind: 'precondition' });
    await old.runner.run(ctx, put('goes on'));
    expect(old.replica.settings).toBeNull();
    await old.close();
  });

  it('takes over a copy of an older schema with its tables', async () => {
    const old = await openTemporaryDatabase({ migrations: migrations.slice(0, -1) });
    const path = join(folder, 'old.db');
    await old.database.copyTo(path);
    await b.replica.install(path, '{}', log);

    expect(b.database.head).toMatchObject({ level: migrations.length - 1 });
    expect(b.database.tables).toEqual(old.database.tables);
    await old.close();
  });

  it('raises the schema through the log once all can follow', async () => {
    const old = await openTemporaryDatabase({ migrations: migrations.slice(0, -1) });
    const path = join(folder, 'old.db');
    await old.database.copyTo(path);
    await old.close();
    await b.replica.install(path, '{}', null);
    await b.replica.begin('history', '{}', () => undefined, async (head) => { log.base = head; return log; });
    const again = join(folder, 'again.db');
    await b.database.copyTo(again);
    await a.replica.install(again, '{}', log);
    await Promise.all([a.replica.raiseTo(ctx, migrations.length), b.replica.raiseTo(ctx, migrations.length)].map((raise) => raise.catch(() => undefined)));
    await Promise.all([a.database.barrier(ctx), b.database.barrier(ctx)]);

    expect([a.database.head.level, b.database.head.level]).toEqual([migrations.length, migrations.length]);
    expect(a.database.head).toEqual(b.database.head);
  });

  it('says that its content is another before anybody reads it', async () => {
    await share();
    const path = await copyOfA();
    const member = { name: 'old' };
    const seen: string[] = [];
    b.feed.onReset(() => seen.push(`reset ${member.name}`));
    const installing = b.replica.install(path, '{}', log, () => { member.name = `of ${keys(b).length} keys`; });
    await installing;
    expect(seen).toEqual([`reset of ${keys(b).length} keys`]);
    expect(keys(b).length).toBeGreaterThan(0);
  });

  it('becomes empty and stands alone again', async () => {
    await share();
    const path = await copyOfA();
    await b.replica.install(path, '{}', log);
    await b.replica.reset();

    expect(keys(b)).toEqual([]);
    expect(b.replica.settings).toBeNull();
    await b.runner.run(ctx, put('alone'));
    expect(keys(b)).toEqual(['alone']);
    expect(log.entries).toEqual([]);
  });

  it('says up to where its rows are safely on disk', async () => {
    await share();
    await a.runner.run(ctx, put('x'));
    const { index } = a.database.head;
    await expect.poll(() => a.replica.flushed, { timeout: 5000 }).toBe(index);
  });
});
