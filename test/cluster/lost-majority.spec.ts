import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember } from '../support/cluster-member.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

describe.skipIf(unmet('a member without a majority', Cluster.whyNot()))('the third member, after two of three were killed', () => {
  const cluster = new Cluster({ kind: 'roost', members: 3, block: '127.37.4' });
  let third: ClusterMember;
  beforeAll(async () => {
    await cluster.form();
    cluster.importImage();
    third = cluster.member(3);
    must(cluster.member(1), 'lxc launch bb here --target m3');
    must(cluster.member(1), 'lxc launch bb there --target m2');
    await cluster.settled();
    await Promise.all([cluster.member(1).crash(), cluster.member(2).crash()]);
    await new Promise((done) => setTimeout(done, 5000));
  });
  afterAll(async () => { await cluster.destroy(); });

  const timed = (line: string): { seconds: number; code: number; output: string } => {
    const start = performance.now();
    const { code, stdout, stderr } = third.run(line);
    return { seconds: (performance.now() - start) / 1000, code, output: stdout + stderr };
  };

  it('lists within a second', () => {
    const listed = timed('lxc list -f csv -c nsL');

    expect(listed).toMatchObject({ code: 0, output: expect.stringContaining('here,RUNNING,m3') as string });
    expect(listed.output).toContain('there');
    expect(listed.seconds).toBeLessThan(1);
  });

  it('runs commands in its containers, stops and starts them', () => {
    expect(timed('lxc exec here -- echo inside')).toMatchObject({ code: 0, output: 'inside\n' });
    expect(timed('lxc info here | grep Status')).toMatchObject({ code: 0, output: 'Status: RUNNING\n' });
    expect(timed('lxc stop here --force && lxc start here && lxc exec here -- echo again')).toMatchObject({ code: 0, output: 'again\n' });
  });

  it('refuses writes at once', () => {
    const refused = timed('lxc profile create p');

    expect(refused.code).not.toBe(0);
    expect(refused.seconds).toBeLessThan(1);
  });

  it('goes on where it was when the others come back', async () => {
    await Promise.all([cluster.member(1).start(), cluster.member(2).start()]);
    for (const member of cluster.members) await cluster.settled(member);

    must(third, 'lxc profile create p');
    must(cluster.member(1), 'lxc exec there -- true && lxc exec here -- true');
    await eventually(() => cluster.dumps(), (dumps) => dumps.every((dump) => dump === dumps[0]), 10_000);
  });
});
