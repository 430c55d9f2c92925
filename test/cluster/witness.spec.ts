import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember } from '../support/cluster-member.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import { UnixApi } from '../support/unix-api.js';
import { WitnessMachine } from '../support/witness-machine.js';

const roostd = join(resolve(import.meta.dirname, '../..'), 'deploy/bin/roostd');

describe.skipIf(unmet('a witness', Cluster.whyNot()))('two members and a witness', () => {
  const cluster = new Cluster({ kind: 'roost', members: 2, block: '127.24.1' });
  const witness = new WitnessMachine(cluster.root, 'w1', '127.24.1.9');
  beforeAll(async () => { await cluster.form(); });
  afterAll(async () => {
    await witness.stop(true);
    await cluster.destroy();
  });

  const listed = (member: ClusterMember): string => must(member, `'${roostd}' cluster witness list`);
  const voting = (through = cluster.member(1)): Promise<unknown> => eventually(() => listed(through), (text) => / ONLINE +YES$/m.test(text), 40_000);
  const equal = (): Promise<unknown> => eventually(() => cluster.dumps(), (dumps) => dumps.every((dump) => dump === dumps[0]), 30_000);

  const write = async (through: ClusterMember, name: string): Promise<number> => {
    const api = new UnixApi(through.socket);
    try {
      return (await api.call('POST', '/1.0/profiles', { body: { name }, timeoutMs: 20_000 })).status;
    } finally {
      api.close();
    }
  };

  const leads = (member: ClusterMember): Promise<unknown> => eventually(() => must(member, 'lxc cluster list --format csv'), (text) => new RegExp(`^${member.name},.*database-leader`, 'm').test(text), 20_000);

  /** Milliseconds until a write succeeds. */
  const writtenAfter = async (through: ClusterMember, name: string): Promise<number> => {
    const since = performance.now();
    await expect.poll(() => write(through, name).catch(() => 0), { timeout: 20_000, interval: 20 }).toBe(201);
    return performance.now() - since;
  };

  it('vote all three, and nothing else of the cluster changes', async () => {
    const before = must(cluster.member(2), 'lxc cluster list --format csv');
    expect(witness.join(cluster.member(2))).toContain('This machine is the witness "w1", reached at 127.24.1.9:8444 and 127.24.1.9:8445.');
    expect(cluster.member(1).run(`'${roostd}' cluster witness add w1`).stderr).toContain('The cluster already has a witness with name: w1');
    witness.start();
    await voting();
    await cluster.voting(2);

    const list = must(cluster.member(2), 'lxc cluster list --format csv');
    expect(list.split('\n').map((line) => line.split(',')[0])).toEqual(before.split('\n').map((line) => line.split(',')[0]));
    expect(must(cluster.member(1), `'${roostd}' cluster list-database`)).not.toContain('127.24.1.9');
    expect(existsSync(join(witness.dir, 'database/global'))).toBe(false);
    expect(readFileSync(join(cluster.member(1).dir, 'database/etcd-pki/ca.key'), 'utf8')).toContain('PRIVATE KEY');
    expect(existsSync(join(witness.dir, 'witness/pki/ca.key'))).toBe(false);
  });

  it.each([1, 2])('are written to within seconds after member %i, when it led, was killed with all its processes', async (index) => {
    const victim = cluster.member(index);
    const survivor = cluster.member(3 - index);
    if (cluster.leader() !== victim) {
      await survivor.stop();
      await survivor.start();
      await leads(victim);
      await cluster.settled(victim);
    }
    await victim.crash();

    // The benchmark measures it; a busy machine may take longer here.
    expect(await writtenAfter(survivor, `without-${index}`)).toBeLessThan(10_000);
    // Whoever leads has to have the rows.
    await leads(survivor);
    await victim.start();
    await cluster.settled(victim);
    await equal();
  });

  it('go on when the witness goes, and take it back with its data or without', async () => {
    const { voterId } = witness.settings();
    await witness.stop(true);
    expect(await write(cluster.member(1), 'without-witness')).toBe(201);
    witness.start();
    await voting();
    expect(witness.settings().voterId).toBe(voterId);

    await witness.stop();
    expect(witness.etcd()).toEqual([]);
    rmSync(witness.data, { recursive: true });
    witness.start();
    await eventually(() => witness.settings().voterId, (id) => id !== undefined && id !== voterId, 60_000);
    await voting();
    await cluster.voting(2);
  });

  it('lose nothing that only the one that died and the witness had seen', async () => {
    // As many as are written off when everybody is there, and more.
    const [first, away] = [cluster.member(1), cluster.member(2)];
    await away.crash();
    await writtenAfter(first, 'seen-by-one');
    const api = new UnixApi(first.socket);
    for (let i = 0; i < 2700; i++) expect((await api.call('PATCH', '/1.0/profiles/seen-by-one', { body: { config: { 'user.n': String(i) } } })).status).toBe(200);
    api.close();
    // The rounds in which the log is cut.
    await new Promise((done) => setTimeout(done, 12_000));
    await first.crash();
    rmSync(join(first.dir, 'database'), { recursive: true });

    await away.start();

    expect(await writtenAfter(away, 'after-the-loss')).toBeLessThan(20_000);
    expect(must(away, 'lxc profile get seen-by-one user.n')).toBe('2699\n');
  });

  it('are two, or one, once the cluster has done without the others', async () => {
    const second = cluster.member(2);
    must(second, 'lxc cluster remove m1 --force --yes');
    await eventually(() => listed(second), (text) => / ONLINE +NO$/m.test(text), 40_000);
    expect(await write(second, 'alone')).toBe(201);
    must(second, `'${roostd}' cluster witness remove w1`);

    await eventually(() => witness.alive(), (alive) => !alive, 20_000);
    expect(existsSync(join(witness.dir, 'witness'))).toBe(false);
    expect(listed(second).trim().split('\n')).toHaveLength(1);
    expect(second.run(`'${roostd}' cluster witness remove w1`).stderr).toContain('The cluster has no witness "w1"');
  });
}, 300_000);
