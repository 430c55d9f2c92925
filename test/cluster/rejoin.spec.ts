import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

describe.skipIf(unmet('members that come back after a recovery', Cluster.whyNot()))('after a recovery on the first of three members', () => {
  const cluster = new Cluster({ kind: 'roost', members: 3, block: '127.37.5' });
  const [first, second, third] = [1, 2, 3].map((index) => () => cluster.member(index)) as [() => Cluster['members'][0], () => Cluster['members'][0], () => Cluster['members'][0]];
  beforeAll(async () => {
    await cluster.form();
    cluster.importImage();
    await cluster.voting(3);
    must(first(), 'lxc launch bb runs --target m2 && lxc exec runs -- sh -c "echo kept >/root/mark"');
    must(first(), 'lxc init bb stopped --target m2 && lxc init bb third --target m3 && lxc init bb gone --target m2');
    // What the first member misses: the last moments of the history that is lost.
    await first().crash();
    must(second(), 'lxc init bb late --target m2 && lxc delete gone');
    await Promise.all([second().crash(), third().crash()]);
    expect(first().daemon(['cluster', 'recover-from-quorum-loss', '--quiet'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/Left behind.*m2, m3/) as string });
    await first().start();
    must(first(), 'lxc profile create after');
  });
  afterAll(async () => { await cluster.destroy(); });

  it('the others are told how they come back, and write nothing before', async () => {
    await Promise.all([second().start(), third().start()]);

    for (const member of [second(), third()]) {
      await eventually(() => member.run('lxc profile create lost').stderr, (text) => text.includes(`lxc cluster add ${member.name}`) && text.includes('lxd cluster rejoin TOKEN'), 30_000);
    }
    expect(must(second(), 'lxc exec runs -- cat /root/mark')).toBe('kept\n');
  });

  it('one command brings a member back with what is on it', async () => {
    const done = second().daemon(['cluster', 'rejoin', cluster.token('m2')]);

    expect(done).toMatchObject({ code: 0 });
    expect(done.stdout).toMatch(/does not know these instances.*\n(.*\n)* {2}default\/late\n/);
    expect(done.stdout).toMatch(/deleted or moved away.*\n(.*\n)* {2}default\/gone\n/);
    const backup = /^(\/.*)\.$/m.exec(done.stdout)![1]!;
    for (const file of ['db.bin', 'etcd', 'etcd-pki/ca.key']) expect(existsSync(join(backup, file)), file).toBe(true);
    await eventually(() => must(first(), 'lxc list -f csv -c nsL'), (text) => text.includes('runs,RUNNING,m2') && text.includes('stopped,STOPPED,m2'), 20_000);
    expect(must(first(), 'lxc exec runs -- cat /root/mark')).toBe('kept\n');
    must(first(), 'lxc start stopped && lxc exec stopped -- true');
    // Nothing of what the cluster does not know is taken away.
    expect(existsSync(join(second().dir, 'storage-pools/default/containers/late/rootfs'))).toBe(true);
    must(second(), 'lxc profile create written-by-second && lxc profile delete after');
  });

  it('refuses a token for another member, and who was not left behind', () => {
    expect(third().daemon(['cluster', 'rejoin', cluster.token('m9')]).stderr).toContain('The token is for "m9", this member is "m3"');
    expect(second().daemon(['cluster', 'rejoin', cluster.token('m2')]).stderr).toContain('No recovery of this cluster has left member "m2" behind');
    expect(third().daemon(['cluster', 'rejoin', 'nonsense']).stderr).toContain('Invalid cluster join token');
  });

  it('all vote again, hold the same, and start as members of the new history', async () => {
    expect(third().daemon(['cluster', 'rejoin', cluster.token('m3', second())])).toMatchObject({ code: 0 });

    await cluster.voting(3);
    for (const member of cluster.members) await cluster.settled(member);
    await third().crash();
    await third().start();
    await cluster.settled(third());
    must(third(), 'lxc start third && lxc exec third -- true && lxc profile create written-by-third');
    await eventually(() => cluster.dumps(), (dumps) => dumps.every((dump) => dump === dumps[0]), 20_000);
    expect(must(first(), `'${first().program}' sql global "SELECT count(*) FROM nodes WHERE raft LIKE '%leftOut%'"`)).toContain('| 0');
  });
});
