import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember } from '../support/cluster-member.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import type { CommandResult } from '../support/target.js';

const roost = join(resolve(import.meta.dirname, '../..'), 'deploy/bin/roost');
const instants = Number(process.env['KILL_INSTANTS'] ?? 2);

/** Pools, networks and images when members come, go and die. */
describe.skipIf(unmet('members that come and go', Cluster.whyNot()))('resources of members', () => {
  const cluster = new Cluster({ kind: 'roost', members: 3, mode: 'namespaces', pool: 'btrfs' });
  const first = (): ClusterMember => cluster.member(1);
  beforeAll(async () => {
    await cluster.form();
    cluster.importImage();
    await cluster.settled();
  });
  afterAll(async () => { await cluster.destroy(); });

  const three = (): ClusterMember[] => cluster.members.slice(0, 3);

  const define = (what: string, name: string, rest = ''): void => {
    for (const { name: member } of three()) must(first(), `lxc ${what} create ${name} ${rest} --target ${member}`);
  };
  /** What a member has of pools, networks and images on its host. */
  const onHost = (member: ClusterMember): string[] =>
    member.run('ls $LXD_DIR/storage-pools $LXD_DIR/images $LXD_DIR/disks 2>/dev/null; ip -o link show type bridge | cut -d: -f2').stdout.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('/'));

  describe('and a fourth that comes and goes', () => {
    let fourth: ClusterMember;
    beforeAll(async () => {
      fourth = await cluster.add();
      define('network', 'rj-br0');
      must(first(), 'lxc network create rj-br0 ipv4.address=10.66.1.1/24 ipv6.address=none && lxc config set cluster.images_minimal_replica=-1');
    });
    afterAll(() => { must(first(), 'lxc network delete rj-br0 && lxc config unset cluster.images_minimal_replica'); });

    it('leave nothing on a server that cannot make its part', () => {
      define('storage', 'pj', 'dir');
      must(first(), 'lxc storage create pj dir');
      const preseed = cluster.joinPreseed(fourth, cluster.token('m4')).replace('member_config: [', 'member_config: [{entity: storage-pool, name: pj, key: source, value: /nowhere}, ');
      const { code, stderr } = fourth.daemon(['init', '--preseed'], preseed);

      expect(stderr).toContain("Source path '/nowhere' doesn't exist");
      expect(code).not.toBe(0);
      expect(onHost(fourth)).toEqual([]);
      expect(must(first(), 'lxc cluster list -f csv')).not.toContain('m4');
      expect(must(first(), 'lxc storage show pj')).not.toContain('m4');
      must(first(), 'lxc storage delete pj');
    });

    it('are made on it when it joins, and taken from it when it leaves', async () => {
      cluster.join(fourth);
      await cluster.settled();
      must(first(), 'lxc storage show default --target m4 | grep -q "status: Created"');
      must(first(), 'lxc network show rj-br0 --target m4 | grep -q "status: Created"');
      must(fourth, 'ip -br addr show rj-br0 | grep -q 10.66.1.1/24');
      await eventually(() => fourth.run('ls $LXD_DIR/images').stdout, (text) => text.trim() !== '', 20_000);
      must(first(), 'lxc launch bb c4 --target m4 -n rj-br0 && lxc delete -f c4');
      must(first(), 'lxc cluster remove m4');

      await expect.poll(() => onHost(fourth), { timeout: 20_000 }).toEqual([]);
      expect(must(first(), 'lxc storage show default')).not.toContain('m4');
    });

    it('are taken from it when it is removed by force', async () => {
      cluster.join(fourth);
      await cluster.settled();
      must(first(), 'lxc cluster remove m4 --force --yes');

      await expect.poll(() => onHost(fourth), { timeout: 20_000 }).toEqual([]);
    });
  });

  it.each([['storage', 'pk', 'btrfs', 'size=300MiB', 2], ['storage', 'pk', 'btrfs', 'size=300MiB', 1], ['network', 'rk-br0', '', '', 2], ['network', 'rk-br0', '', '', 1]])(
    'can be made or deleted again when a member dies meanwhile: %s %s %s%s, member %i', { timeout: 180_000 }, async (what, name, driver, memberKeys, victim) => {
      const asked = cluster.member(victim === 1 ? 1 : 3);
      const whole = what === 'network' ? 'ipv4.address=10.66.2.1/24 ipv6.address=none' : 'user.k=v';
      for (let instant = 0; instant < instants; instant++) {
        define(what, name, `${driver} ${memberKeys}`);
        const running = asked.runBeside(`lxc ${what} create ${name} ${driver} ${whole}`, 30_000);
        await sleep(40 + 120 * instant);
        await cluster.member(victim).crash();
        await running;
        await cluster.member(victim).start();
        await cluster.settled();

        const { status } = JSON.parse(must(first(), `lxc query /1.0/${what === 'network' ? 'networks' : 'storage-pools'}/${name}`)) as { status: string };
        expect(['Created', 'Errored', 'Pending']).toContain(status);
        if (status !== 'Created') must(first(), `lxc ${what} create ${name} ${driver} ${status === 'Errored' ? '' : whole}`);
        const deleting = asked.runBeside(`lxc ${what} delete ${name}`, 30_000);
        await sleep(20 + 80 * instant);
        await cluster.member(victim).crash();
        await deleting;
        await cluster.member(victim).start();
        await cluster.settled();
        const left = first().run(`lxc ${what} delete ${name}`);
        if (left.code !== 0) expect(left.stderr).toMatch(/not found/);
        await expect.poll(() => three().flatMap(onHost).filter((entry) => entry.startsWith(name)), { timeout: 10_000 }).toEqual([]);
      }
      expect(new Set(cluster.dumps().slice(0, 3)).size).toBe(1);
    });

  it('tell why an instance is where it is, what was done to it, and what it uses', async () => {
    const ask = (words: string, member = 3): CommandResult => cluster.member(member).run(`${roost} ${words}`);
    must(first(), 'lxc init bb e1 --target m2 && lxc init bb e2 && lxc cluster set m1 scheduler.instance manual && lxc init bb e3 --target @default && lxc cluster unset m1 scheduler.instance');
    expect(ask('explain e1').stdout).toMatch(/^e1 is stopped on m2: .*\nIt was made there because that member was asked for\n/);
    expect(ask('explain e2').stdout).toMatch(/^e2 is stopped on m1: .*\nIt was made there because no other member would do better:\n {2}m2 had 1 instances, m1 had 0\n {2}m3 had 0 instances, m1 had 0\n/);
    expect(ask('explain e3').stdout).toMatch(/^e3 is stopped on m3: .*\nIt was made there because the group default was asked for, and no other member would do better:\n {2}m1 took only instances that name it/);
    must(first(), 'lxc start e1 && lxc move e2 --target m3');
    expect(ask('wait e1 --for running --timeout 20').code).toBe(0);
    expect(ask('top --count 1').stdout).toMatch(/e1 +m2 /);
    expect(ask('explain e2', 1).stdout).toMatch(/^e2 is stopped on m3: .*\nIt was made on m1 because /);
    await eventually(() => ask('history e1').stdout, (text) => /Starting instance: success \(on m2\)/.test(text), 30_000);
    expect(ask('history e2').stdout).toMatch(/Creating instance: success \(on m1\)/);
    must(first(), 'lxc delete -f e1 e2 e3');
  });

  it('are made and kept as roost apply is told', async () => {
    const site = `
kind: pool
name: ap
driver: btrfs
config: {size: 300MiB, user.a: b}
members: {m1: {size: 320MiB}}
---
kind: network
name: rj-ap0
config: {ipv4.address: 10.66.3.1/24, ipv6.address: none}
---
{kind: volume, name: v, pool: ap, target: m3}
---
{kind: volume, name: v, pool: ap, target: m1}
---
{kind: profile, name: ap, devices: {root: {type: disk, path: /, pool: ap}}}
---
{kind: instance, name: a1, image: bb, profiles: [ap], target: m2, state: stopped}
`;
    const apply = (text: string, more = ''): CommandResult => {
      writeFileSync(join(cluster.root, 'site.yaml'), text);
      return cluster.member(2).run(`${roost} apply -f ${cluster.root}/site.yaml --name ap ${more}`);
    };
    // As somebody who was interrupted left it.
    must(first(), 'lxc storage create ap btrfs size=310MiB --target m2');
    expect(apply(site)).toMatchObject({ code: 0, stdout: expect.stringContaining('6 made, 0 changed') as string });
    expect(apply(site).stdout).toBe('Nothing to do: 6 objects are as described\n');
    expect(three().map(({ name }) => must(first(), `lxc storage get ap size --target ${name}`).trim())).toEqual(['320MiB', '310MiB', '300MiB']);
    expect(must(first(), 'lxc storage volume list ap -f csv -c nL | grep ^v | sort')).toBe('v,m1\nv,m3\n');

    const moved = apply(site.replace('target: m2', 'target: m3').replace('user.a: b', 'user.a: c'));
    expect(moved.stdout).toBe('~ pool ap\n    config user.a: b -> c\n~ instance a1\n    target: m2 -> m3\n0 made, 2 changed, 0 deleted, 4 as described\n');
    expect(must(first(), 'lxc list a1 -f csv -c L')).toBe('m3\n');
    must(first(), 'lxc start a1');
    expect(apply(site.replace('state: stopped', 'state: running')).stderr).toContain('it runs on "m3": stop it to have it moved to "m2"');
    expect(apply(site.replace('m1: {size', 'm8: {size').replace('name: ap\n', 'name: aq\n')).stderr).toContain('pool aq: there is no member "m8"');

    expect(apply('', '--prune')).toMatchObject({ code: 0, stdout: expect.stringContaining('6 deleted') as string });
  });

  it('say which member is away when one is needed, and do without where none is', async () => {
    const away = cluster.member(3);
    define('storage', 'pa', 'dir');
    must(first(), `lxc config trust add --name cl -q | tail -1 >token; ${roost} remote add cl $(cat token) -q; ${roost} remote set-url cl https://${away.url}; ${roost} list cl:`);
    await away.crash();
    await expect.poll(() => first().run('lxc cluster list -f csv').stdout, { timeout: 40_000 }).toMatch(/m3.*OFFLINE/);

    expect(first().run('lxc storage create pa dir').stderr).toBe(`Error: peer node ${away.url} is down\n`);
    expect(first().run('lxc storage set default user.x y').stderr).toBe(`Error: peer node ${away.url} is down\n`);
    must(first(), 'lxc storage show default --target m3 | grep -q "status: Created"');
    expect(first().run(`${roost} list cl: -f csv`)).toMatchObject({ code: 0, stderr: expect.stringContaining(`https://${away.url} cannot be reached: asking https://10.`) as string });
    must(cluster.member(2), 'lxc image delete bb');
    await away.start();
    await cluster.settled();
    await expect.poll(() => three().map((member) => member.run('ls $LXD_DIR/images').stdout), { timeout: 20_000 }).toEqual(['', '', '']);
    must(first(), 'lxc storage delete pa');
  });
});
