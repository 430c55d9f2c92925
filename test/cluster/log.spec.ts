import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { internalContext, SilentLogger } from '#kernel';
import type { Tx } from '#platform/database';
import { LogTrimmer } from '#platform/raft';
import { LogMember } from '../support/log-members.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';

const ctx = internalContext();
const noEtcd = spawnSync('etcd', ['--version']).status === 0 ? '' : 'etcd is not installed';

describe.skipIf(unmet('etcd', noEtcd))('the log of a cluster in real etcd', () => {
  const members: LogMember[] = [];
  const create = async (n: number): Promise<LogMember> => {
    const member = await LogMember.create(`m${n}`, `127.30.1.${n}:8443`);
    members.push(member);
    return member;
  };
  afterEach(async () => {
    await Promise.all(members.splice(0).map((member) => member.destroy()));
  });

  /** Three members, all voters. */
  const three = async (): Promise<[LogMember, LogMember, LogMember]> => {
    const [a, b, c] = [await create(1), await create(2), await create(3)];
    await a.enable();
    for (const joiner of [b, c]) {
      await joiner.join(a);
      await joiner.becomeVoter(a);
    }
    return [a, b, c];
  };
  const put = (key: string, value = 'v') => (tx: Tx) => tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
  const increment = (key: string) => (tx: Tx): number => {
    const value = Number(tx.sql.get<{ value: string }>('SELECT value FROM config WHERE key = ?', key)?.value ?? 0) + 1;
    put(key, String(value))(tx);
    return value;
  };

  it('begins with every row of the member that stood alone, and goes on after its restart', async () => {
    const a = await create(1);
    await a.run(put('before'));
    await a.enable();
    await a.run(put('after'));
    await a.stop();
    await a.start();
    await a.run(put('restarted'));

    expect(a.open.database.read.all('SELECT key FROM config ORDER BY key')).toEqual(['after', 'before', 'restarted'].map((key) => ({ key })));
    expect(a.local).toMatchObject({ id: 1, name: 'm1', clustered: true });
  });

  it('shows through each member what was written through any, and keeps all copies equal', async () => {
    const [a, b, c] = await three();
    await b.run(put('b'));
    await c.open.database.barrier(ctx);
    expect(c.open.database.read.get("SELECT 1 FROM config WHERE key = 'b'")).toBeDefined();

    const all = await Promise.all(Array.from({ length: 150 }, (_, i) => [a, b, c][i % 3]!.run(increment('n'))));
    expect([...all].sort((x, y) => x - y)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
    expect(new Set([await a.dump(), await b.dump(), await c.dump()]).size).toBe(1);
  });

  it('lets every member have its turn while all write at once', async () => {
    const contenders = await three();
    const seconds = 4;
    const latencies = await Promise.all(contenders.map(async (member, n) => {
      const own: number[] = [];
      const until = performance.now() + seconds * 1000;
      await Promise.all(Array.from({ length: 16 }, async (_, worker) => {
        while (performance.now() < until) {
          const before = performance.now();
          await member.run(increment(`k${n}-${worker}`));
          own.push(performance.now() - before);
        }
      }));
      return own.sort((x, y) => x - y);
    }));
    const figures = latencies.map((own) => ({ writes: own.length, p50: own[Math.floor(own.length / 2)]!, p99: own[Math.floor(own.length * 0.99)]! }));
    console.log('contention', figures.map(({ writes, p50, p99 }) => `${writes} writes, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`).join('; '));

    const counts = figures.map(({ writes }) => writes);
    expect(Math.min(...counts)).toBeGreaterThan(Math.max(...counts) / 4);
    // Without turns the unlucky ones' tail is a hundred times their median.
    for (const { p50, p99 } of figures) expect(p99).toBeLessThan(20 * p50);
  });

  it('loses nothing and does nothing twice while the leader is killed under writers', async () => {
    const [a, b, c] = await three();
    let acknowledged = 0;
    const unknown: unknown[] = [];
    const until = performance.now() + 6000;
    const write = async (member: LogMember, n: number): Promise<void> => {
      for (let i = 0; performance.now() < until; i++) {
        try {
          await member.run((tx) => put(`w${n}-${i}`)(tx));
          acknowledged++;
          expect(member.open.database.read.get('SELECT 1 FROM config WHERE key = ?', `w${n}-${i}`)).toBeDefined();
        } catch (error) {
          unknown.push(error);
        }
      }
    };
    const writers = [a, b, c].flatMap((member, m) => [0, 1].map((w) => write(member, m * 2 + w)));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    process.kill(a.cluster.voter.pid!, 'SIGKILL');
    await Promise.all(writers);
    await eventually(() => a.cluster.voter.pid ?? 0, (pid) => pid > 0);

    const dumps = [await a.dump(), await b.dump(), await c.dump()];
    expect(new Set(dumps).size).toBe(1);
    const rows = a.open.database.read.all("SELECT key FROM config WHERE key LIKE 'w%'").length;
    expect(rows).toBeGreaterThanOrEqual(acknowledged);
    expect(rows).toBeLessThanOrEqual(acknowledged + unknown.length);
    // As many as a busy machine can.
    expect(acknowledged).toBeGreaterThan(20);
  });

  it('reads at once and refuses writes at once when the majority is gone, and goes on when it is back', async () => {
    const [a, b, c] = await three();
    await a.run(put('kept'));
    await b.open.database.barrier(ctx);
    await b.stop();
    await c.stop();
    const gone = performance.now();
    await eventually(() => a.cluster.state().quorum, (quorum) => quorum === 'lost');
    expect(performance.now() - gone).toBeLessThan(6000);

    const before = performance.now();
    expect(await a.open.database.barrier(ctx)).toBe('stale');
    await expect(a.run(put('refused'))).rejects.toMatchObject({ kind: 'unavailable' });
    expect(performance.now() - before).toBeLessThan(500);
    expect(a.open.database.read.get("SELECT 1 FROM config WHERE key = 'kept'")).toBeDefined();

    await b.start();
    await c.start();
    await eventually(() => a.cluster.state().quorum, (quorum) => quorum === 'ok', 20_000);
    await a.run(put('again'));
    expect(await c.dump()).toContain('again');
  });

  it('goes on in a history of its own after a recovery, which the old majority cannot reach (A3, A4)', async () => {
    const [a, b, c] = await three();
    await a.run(put('shared'));
    await Promise.all([b, c].map((member) => member.open.database.barrier(ctx)));
    // Committed by the others, and in the voter's data of a, but not in its tables.
    await a.open.runner.close();
    a.cluster.connection!.close();
    await b.run(put('late'));
    await a.stop();
    await expect(a.recover()).rejects.toMatchObject({ kind: 'precondition' });
    await b.stop();
    await c.stop();

    const report = await a.recover();
    expect(report.leftOut.map(({ name }) => name)).toEqual(['m2', 'm3']);
    await a.start();
    await a.run(put('after'));
    expect(a.open.database.read.all("SELECT key FROM config WHERE key IN ('shared', 'late', 'after') ORDER BY key").length).toBeGreaterThanOrEqual(2 + (report.salvaged > 0 ? 1 : 0));

    await b.start();
    await c.start();
    await b.run(put('old'));
    expect(b.open.database.head.incarnation).not.toBe(a.open.database.head.incarnation);
    expect(a.open.database.read.get("SELECT 1 FROM config WHERE key = 'old'")).toBeUndefined();
    expect(b.open.database.read.get("SELECT 1 FROM config WHERE key = 'after'")).toBeUndefined();
    // Told of it, a former member writes nothing any more, nor after a restart, and its voter is gone.
    await c.cluster.fence('left behind');
    await expect(c.run(put('fenced'))).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('left behind') });
    await c.stop();
    await c.start();
    await expect(c.run(put('fenced'))).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('left behind') });
    expect(c.cluster.voter.pid).toBeUndefined();
    await expect(c.cluster.voter.bootstrap('any', { id: 3, name: 'm3', address: c.address }, { peerPort: 8444, clientPort: 8445 })).rejects.toMatchObject({ kind: 'precondition' });
    expect(await c.open.database.barrier(ctx)).toBe('stale');
    expect(a.open.database.read.all("SELECT name FROM nodes WHERE certificate = '' AND voter = '' ORDER BY id")).toEqual([{ name: 'm2' }, { name: 'm3' }]);
  });

  it('fetches a copy when the log was trimmed beyond what it has', async () => {
    const [a, b] = [await create(1), await create(2)];
    await a.enable();
    await b.join(a);
    await b.stop();
    for (let i = 0; i < 20; i++) await a.run(increment('n'));
    const { client, log } = a.cluster.connection!;
    await client.deleteRange({ key: log.keys.entry(0), rangeEnd: log.keys.entry(a.open.database.head.index) });
    await b.start();
    b.cluster.useSnapshots(() => a.cluster.snapshot());

    await eventually(() => b.open.database.head.index, (index) => index === a.open.database.head.index, 20_000);
    expect(await b.dump()).toBe(await a.dump());
  });

  it('keeps few entries once they take much room in the voters (C2)', async () => {
    const a = await create(1);
    await a.enable();
    for (let i = 0; i < 60; i++) await a.run(increment('n'));
    const { client, log } = a.cluster.connection!;
    const { index } = a.open.database.head;
    await client.put({ key: log.keys.flushedOf(1), value: Buffer.from(String(index)) });
    const trim = (pressureBytes: number) => new LogTrimmer(client, log.keys, new SilentLogger(), { keepEntries: 2000, strideEntries: 500, capEntries: 200_000, pressureBytes }).trim([1]);

    expect(await trim(1024 ** 3)).toBeNull();
    expect(await trim(1)).toBe(index - 19);
    await a.run(put('after'));
  });

  it('becomes empty when it leaves, and can join again', async () => {
    const [a, b] = [await create(1), await create(2)];
    await a.enable();
    await a.run(put('shared'));
    await b.join(a);
    await b.cluster.leave();
    expect(b.local).toMatchObject({ id: 1, name: 'none', clustered: false });
    expect(b.open.database.read.all('SELECT * FROM config')).toEqual([]);
    await b.run(put('own'));

    await a.run((tx) => tx.sql.run("DELETE FROM nodes WHERE name = 'm2'"));
    await b.join(a);
    expect(await b.dump()).toBe(await a.dump());
  });
});
