import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

/** Instances between two members, with real files, on directories and on btrfs. */
describe.skipIf(unmet('moves between members', Cluster.whyNot()))('two members', () => {
  const cluster = new Cluster({ kind: 'roost', members: 2, block: '127.36.7' });
  beforeAll(async () => {
    await cluster.form();
    await cluster.settled();
    const first = cluster.member(1);
    cluster.importImage();
    for (const member of cluster.members) must(first, `lxc storage create bt btrfs size=1GiB --target ${member.name}`);
    must(first, 'lxc storage create bt btrfs');
  });
  afterAll(async () => { await cluster.destroy(); });

  for (const pool of ['default', 'bt']) {
    it(`move what is on ${pool}, with snapshots, there and back, and copy it`, async () => {
      const [first, second] = [cluster.member(1), cluster.member(2)];
      must(first, `lxc launch bb c1 -s ${pool} --target m1 -q`);
      must(first, "lxc exec c1 -- sh -c 'echo one >/root/mark; cp /bin/busybox /root/suid; chown 7:8 /root/suid; chmod 4755 /root/suid; ln -s nowhere /root/link; mkfifo /root/fifo'");
      must(first, 'lxc snapshot c1 s0');
      must(first, "lxc exec c1 -- sh -c 'echo two >/root/mark; dd if=/dev/urandom of=/root/big bs=1M count=20 2>/dev/null; sync'");
      const sum = must(first, 'lxc exec c1 -- md5sum /root/big');
      expect(first.run('lxc move c1 --target m2').stderr).toContain('Unable to perform container live migration');
      must(first, 'lxc copy c1 c5 --target m2 --stateless; lxc move c1 --target m2 --stateless; lxc move c1 --target m1 --stateless');
      expect(must(first, 'lxc list -f csv -c nsL; lxc exec c1 -- cat /root/mark; lxc start c5; lxc exec c5 -- cat /root/mark; lxc delete -f c5')).toBe('c1,RUNNING,m1\nc5,STOPPED,m2\ntwo\ntwo\n');
      must(first, 'lxc stop -f c1');
      for (const [asked, target] of [[first, 'm2'], [first, 'm1'], [second, 'm2']] as const) {
        must(asked, `lxc move c1 --target ${target}`);
        expect(must(asked, 'lxc list c1 -f csv -c nsLS').trim()).toBe(`c1,STOPPED,${target},1`);
      }
      must(first, 'lxc start c1');
      expect(must(first, "lxc exec c1 -- sh -c 'cat /root/mark; stat -c \"%n %a %u %g %F\" /root/suid /root/link /root/fifo'")).toBe(
        'two\n/root/suid 4755 7 8 regular file\n/root/link 777 0 0 symbolic link\n/root/fifo 644 0 0 fifo\n');
      expect(must(first, 'lxc exec c1 -- md5sum /root/big')).toBe(sum);
      must(second, 'lxc restore c1 s0');
      expect(must(first, 'lxc exec c1 -- cat /root/mark')).toBe('one\n');
      must(first, 'lxc stop -f c1');
      must(first, 'lxc copy c1 c2 --target m1');
      must(first, 'lxc copy c1/s0 c3 --target m1');
      must(first, 'lxc copy c1 c4 --target m2 --instance-only');
      expect(must(first, 'lxc list -f csv -c nsLS')).toBe('c1,STOPPED,m2,1\nc2,STOPPED,m1,1\nc3,STOPPED,m1,0\nc4,STOPPED,m2,0\n');
      must(first, 'lxc start c2 c3');
      expect(must(first, 'lxc exec c2 -- cat /root/mark; lxc exec c3 -- cat /root/mark')).toBe('one\none\n');
      must(first, 'lxc delete -f c1 c2 c3 c4');
    }, 120_000);
  }

  it('reach files, metadata and templates of each other’s instances', () => {
    const [first, second] = [cluster.member(1), cluster.member(2)];
    must(first, 'lxc launch bb there --target m1 -q');
    must(second, 'head -c 20000000 /dev/urandom >big; lxc file push big there/root/big --uid=7 --mode=0640 -q; lxc file pull there/root/big back; cmp big back');
    expect(must(first, 'lxc exec there -- stat -c "%s %u %a" /root/big')).toBe('20000000 7 640\n');
    must(second, 'mkdir -p tree/sub; echo leaf >tree/sub/leaf; lxc file push -r tree there/root/ -q; lxc file delete there/root/big');
    expect(must(first, 'lxc exec there -- sh -c "ls /root; cat /root/tree/sub/leaf"')).toBe('tree\nleaf\n');
    const mounted = must(second, `mkdir -p mnt; lxc file mount there/root mnt >mount.log 2>&1 & mount=$!
      for i in $(seq 100); do mountpoint -q mnt && break; sleep 0.1; done; cat mnt/tree/sub/leaf; cp big mnt/big; cmp big mnt/big && echo same; fusermount3 -u mnt; wait $mount`);
    expect(mounted).toBe('leaf\nsame\n');
    must(second, "lxc config template create there f.tpl && printf 'made for {{ container.name }}' | lxc config template edit there f.tpl; lxc query -X PATCH -d '{\"templates\":{\"/made\":{\"when\":[\"start\"],\"template\":\"f.tpl\"}}}' /1.0/instances/there/metadata");
    must(second, 'lxc restart -f there');
    expect(must(second, 'lxc file pull there/made -; lxc config template list there -f csv')).toBe('made for theref.tpl\n');
    must(second, 'lxc delete -f there');
  }, 120_000);

  it('find out by the log whose copy of the database was changed behind its back', () => {
    const [first, second] = [cluster.member(1), cluster.member(2)];
    for (const [victim, other] of [[first, second], [second, first]] as const) {
      must(first, 'lxc profile create judged && lxc profile set judged user.a b');
      const file = new DatabaseSync(join(victim.dir, 'database/global/db.bin'), { timeout: 5000 });
      file.exec("UPDATE profiles SET description = 'tampered' WHERE name = 'judged'");
      file.close();

      expect(other.daemon(['cluster', 'compare-databases']).stdout).toContain(`${victim.name}: another content in profiles, replaced\n`);
      expect(must(victim, 'lxc profile show judged')).not.toContain('tampered');
      expect(first.daemon(['cluster', 'compare-databases'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/the same on m1, m2/) as string });
      must(second, 'lxc profile delete judged');
    }
  });

  it('leave nothing of all that', () => {
    for (const member of cluster.members) {
      const left = must(member, `cd ${member.dir} && ls -A storage-pools/*/containers storage-pools/*/containers-snapshots containers snapshots run/transfer | grep -v ':$' | sort -u`);
      expect(left.trim()).toBe('');
    }
  });
});
