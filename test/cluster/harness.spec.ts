import { existsSync, readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

/** The tests' own tools, tried on real LXD: what they do to a cluster must be what they say. */
describe.skipIf(unmet('clusters of real LXD', Cluster.whyNot()))('a cluster of real LXD', () => {
  let cluster: Cluster | undefined;
  afterEach(async () => {
    await cluster?.destroy();
    expect(existsSync(cluster!.root)).toBe(false);
  });

  it('forms on loopback addresses, and instances run on the member they are sent to', async () => {
    cluster = new Cluster({ kind: 'lxd', members: 3 });
    await cluster.form();
    cluster.importImage();

    must(cluster.member(3), 'lxc launch bb c1 --target m2');

    expect(must(cluster.member(1), 'lxc list -f csv -c nsL')).toBe('c1,RUNNING,m2\n');
  });

  it('is cut and healed in namespaces', async () => {
    cluster = new Cluster({ kind: 'lxd', members: 3, mode: 'namespaces' });
    await cluster.form();
    cluster.importImage();
    must(cluster.member(1), 'lxc launch bb c1 --target m2');
    must(cluster.member(1), 'lxc exec c1 -- true');

    cluster.isolate(cluster.member(2));
    const cut = cluster.member(1).run('timeout 5 lxc exec c1 -- true');
    cluster.heal();

    expect(cut.code).not.toBe(0);
    await eventually(() => cluster!.member(1).run('timeout 5 lxc exec c1 -- true').code, (code) => code === 0, 60_000);
    expect(readdirSync('/sys/class/net').filter((link) => link === 'hub')).toEqual([]);
  });

  it('loses a member to SIGKILL and has it again', async () => {
    cluster = new Cluster({ kind: 'lxd', members: 3 });
    await cluster.form();

    await cluster.member(3).kill();
    expect(cluster.member(3).alive()).toBe(false);
    await cluster.member(3).start();

    await cluster.settled();
  });
});
