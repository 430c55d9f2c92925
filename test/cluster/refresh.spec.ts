import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember, Part } from '../support/cluster-member.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

const bigBytes = 200_000_000;
/** Far less than the big file, and more than what members say to each other meanwhile. */
const littleBytes = 20_000_000;

/** Copies on another member that are brought up to date: with what they lack, and whole at every moment. */
describe.skipIf(unmet('refreshes between members', Cluster.whyNot()))('a copy on another member', () => {
  const cluster = new Cluster({ kind: 'roost', members: 2, mode: 'namespaces' });
  const [first, second] = [(): ClusterMember => cluster.member(1), (): ClusterMember => cluster.member(2)];
  beforeAll(async () => {
    await cluster.form();
    await cluster.settled();
    cluster.importImage();
    for (const { name } of cluster.members) must(first(), `lxc storage create bt btrfs size=2GiB --target ${name}`);
    must(first(), 'lxc storage create bt btrfs');
  });
  afterAll(async () => { await cluster.destroy(); });

  const root = (member: ClusterMember, pool: string, name: string, snapshot = ''): string =>
    `${member.dir}/storage-pools/${pool}/containers${snapshot === '' ? '' : '-snapshots'}/${name}${snapshot === '' ? '' : `/${snapshot}`}/rootfs/root`;
  const snapshotsOf = (name: string): string[] => (JSON.parse(must(first(), `lxc query /1.0/instances/${name}/snapshots`)) as string[] | null ?? []).map((url) => url.split('/').at(-1)!).sort();
  const received = (member: ClusterMember): number => Number(must(member, 'cat /sys/class/net/eth0/statistics/rx_bytes'));
  const write = (pool: string, text: string): void => { must(first(), `echo ${text} >${root(first(), pool, 'c1')}/mark`); };
  const mark = (pool: string, name: string, snapshot = ''): string => must(second(), `cat ${root(second(), pool, name, snapshot)}/mark`).trim();

  it.each([['default', 'default'], ['bt', 'bt'], ['default', 'bt'], ['bt', 'default']])('gets the difference alone: from %s to %s', { timeout: 300_000 }, (from, to) => {
    must(first(), `lxc init bb c1 -s ${from} --target m1 -q`);
    must(first(), `cd ${root(first(), from, 'c1')} && head -c ${bigBytes} /dev/urandom >big && ln big hard`);
    write(from, 'one');
    must(first(), 'lxc snapshot c1 s0');
    write(from, 'two');
    must(first(), 'lxc snapshot c1 s1');
    must(first(), `lxc copy c1 c2 -s ${to} --target m2`);
    must(first(), 'lxc snapshot c2 own; lxc delete c1/s0');
    write(from, 'three');
    must(first(), 'lxc snapshot c1 s2');
    write(from, 'four');
    must(first(), `cd ${root(first(), from, 'c1')} && dd if=/dev/urandom of=big bs=1000 seek=70000 count=10 conv=notrunc status=none; echo new >new`);
    const before = received(second());

    must(first(), `lxc copy c1 c2 -s ${to} --refresh`);

    expect(received(second()) - before).toBeLessThan(littleBytes);
    expect([mark(to, 'c2'), mark(to, 'c2', 's1'), mark(to, 'c2', 's2'), snapshotsOf('c2')]).toEqual(['four', 'two', 'three', ['s1', 's2']]);
    const sums = (member: ClusterMember, pool: string, name: string): string => must(member, `cd ${root(member, pool, name)} && md5sum big hard new && stat -c %h big`);
    expect(sums(second(), to, 'c2')).toBe(sums(first(), from, 'c1'));
    if (from === 'bt' && to === 'bt') {
      const shown = (member: ClusterMember, name: string, key: string): string =>
        new RegExp(`^\\s*${key}:\\s*(\\S+)`, 'm').exec(must(member, `btrfs subvolume show ${member.dir}/storage-pools/bt/containers-snapshots/${name}/s2`))![1]!;
      expect(shown(second(), 'c2', 'Received UUID')).toBe(shown(first(), 'c1', 'UUID'));
    }
    must(first(), 'lxc start c2 && lxc exec c2 -- cat /root/mark && lxc delete -f c1 c2');
  });

  it('is a volume, too', { timeout: 200_000 }, () => {
    for (const pool of ['default', 'bt']) {
      const path = (member: ClusterMember, name: string): string => `${member.dir}/storage-pools/${pool}/custom/default_${name}`;
      must(first(), `lxc storage volume create ${pool} v --target m1 && head -c ${bigBytes} /dev/urandom >${path(first(), 'v')}/big && lxc storage volume snapshot ${pool} v s0 --target m1`);
      must(first(), `lxc storage volume copy ${pool}/v ${pool}/w --target m1 --destination-target m2`);
      must(first(), `echo new >${path(first(), 'v')}/new && lxc storage volume snapshot ${pool} v s1 --target m1`);
      const before = received(second());

      must(first(), `lxc storage volume copy ${pool}/v ${pool}/w --target m1 --destination-target m2 --refresh`);

      expect(received(second()) - before).toBeLessThan(littleBytes);
      expect(must(second(), `cd ${path(second(), 'w')} && cat new && md5sum big`)).toBe(must(first(), `cd ${path(first(), 'v')} && cat new && md5sum big`));
      expect(must(second(), `ls ${second().dir}/storage-pools/${pool}/custom-snapshots/default_w`)).toBe('s0\ns1\n');
      must(first(), `lxc storage volume delete ${pool} v --target m1 && lxc storage volume delete ${pool} w --target m2`);
    }
  });

  describe.each(['default', 'bt'])('on %s', (pool) => {
    beforeAll(() => {
      must(first(), `lxc init bb c1 -s ${pool} --target m1 -q`);
      write(pool, 'first');
      must(first(), `lxc snapshot c1 first && lxc copy c1 c2 -s ${pool} --target m2 && lxc storage set ${pool} rsync.bwlimit=4MB`);
    });
    afterAll(() => { must(first(), `lxc storage unset ${pool} rsync.bwlimit && lxc delete -f c1 c2`); });

    it.each([['source', 'daemon', 1], ['source', 'agent', 1], ['target', 'daemon', 2], ['target', 'agent', 2]] as const)('is what it was or what it was to become when the %s\'s %s is killed', { timeout: 200_000 }, async (who, part: Part, index) => {
      const [former, next] = [snapshotsOf('c2')[0]!, `${who}-${part}`];
      must(first(), `head -c 40000000 /dev/urandom >${root(first(), pool, 'c1')}/big`);
      write(pool, next);
      must(first(), `lxc delete c1/${former} && lxc snapshot c1 ${next}`);
      const victim = cluster.member(index);
      const asked = cluster.member(3 - index);
      const running = asked.runBeside('lxc copy c1 c2 --refresh', 60_000);
      // The volume is on its way: what is made of it has its place.
      await eventually(() => must(second(), `ls -A ${second().dir}/storage-pools/${pool}/containers`), (listed) => listed.includes('.roost-new-c2'), 20_000);
      await victim.kill(part);
      if (part === 'daemon') await victim.start();
      await running;
      for (const member of cluster.members) await cluster.settled(member);

      const seen = (): string => JSON.stringify([/RUNNING|PENDING/.test(must(first(), 'lxc operation list -f csv')), mark(pool, 'c2'), snapshotsOf('c2'),
        must(second(), `cd ${second().dir}/storage-pools/${pool} && ls -A containers containers-snapshots/c2`).split('\n').filter((name) => name.startsWith('.'))]);
      const whole = [former, next].map((name) => JSON.stringify([false, name, [name], []]));
      expect(whole).toContain(await eventually(seen, (now) => whole.includes(now), 30_000).catch((error: Error) => error.message));
      must(first(), 'lxc copy c1 c2 --refresh');
      expect([mark(pool, 'c2'), snapshotsOf('c2')]).toEqual([next, [next]]);
    });
  });
});
