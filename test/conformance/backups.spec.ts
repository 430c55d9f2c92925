import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import type { Target } from '../support/target.js';

/** Backups say and do the same on Roost and on real LXD, and the archives of either are taken by the other. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc storage create bt btrfs size=1GiB; lxc profile create extra; lxc profile set extra user.profile=extra');
    for (const [name, pool] of [['c1', 'default'], ['b1', 'bt']]) {
      must(target, `lxc launch -q bb ${name} -s ${pool} -p default -p extra -c user.mark=one 2>/dev/null`);
      must(target, `lxc exec ${name} -- sh -c 'echo one >/root/mark; chown 1000:1001 /root/mark; chmod 4755 /root/mark; ln /root/mark /root/hard; ln -s /nowhere /root/link; mkfifo /root/fifo'`);
      must(target, `lxc snapshot ${name} s0; lxc exec ${name} -- sh -c 'echo two >/root/mark; chmod 4755 /root/mark; echo new >/root/new'; lxc snapshot ${name} s1; lxc stop -f ${name}`);
    }
    for (const pool of ['default', 'bt']) {
      // A quota in one volume makes LXD count in all of the pool, also where a line above expects that it does not.
      must(target, `lxc storage volume create ${pool} v1${pool === 'bt' ? '' : ' size=100MiB'} user.mark=one; lxc storage volume create ${pool} k1 --type=block size=8MiB`);
      must(target, `${inVolume(pool, 'v1')}; printf one >$v/mark; chown 1000:1001 $v/mark; chmod 4755 $v/mark; ln $v/mark $v/hard; ln -s /nowhere $v/link; mkfifo $v/fifo; chmod 1777 $v; printf one >${disk(pool, 'k1')}.new; dd if=${disk(pool, 'k1')}.new of=${disk(pool, 'k1')} bs=1 seek=4096 conv=notrunc status=none; rm ${disk(pool, 'k1')}.new`);
      must(target, `lxc storage volume snapshot ${pool} v1 s0; lxc storage volume snapshot ${pool} k1 s0; ${inVolume(pool, 'v1')}; printf two >$v/mark; chmod 4755 $v/mark; : >$v/new; chmod 755 $v; lxc storage volume snapshot ${pool} v1 s1`);
      must(target, `printf two | dd of=${disk(pool, 'k1')} bs=1 seek=4096 conv=notrunc status=none`);
    }
    must(target, 'printf junk >junk; : >empty; mkdir -p bad/backup; tar czf none.tgz -C bad backup; printf "a: [" >bad/backup/index.yaml; tar czf wrong.tgz -C bad backup');
  }
});
afterAll(() => pair.destroy());

/** Sets `v` to the directory of a custom volume. */
const inVolume = (pool: string, name: string): string => `v=$LXD_DIR/storage-pools/${pool}/custom/default_${name}`;
const disk = (pool: string, name: string): string => `$LXD_DIR/storage-pools/${pool}/custom/default_${name}/root.img`;
/** Without the top directory, whose mode and owner LXD resets. */
const listing = "find . -mindepth 1 -printf '%P %y %m %U %G %s %l\\n' | sort";

const options: CompareOptions = {
  normalise: (text) => text.replaceAll(/\d{4}-\d\d-\d\dT[^"\s]*/g, (time) => (/^(0001|20[3-9]|1970)/.test(time) ? time : '<time>')).replaceAll(/"Hostid":\d+/g, '"Hostid":<id>').replaceAll(/"Maprange":\d+/g, '"Maprange":<n>')
    // What takes longer than a second tells how far it is.
    .replaceAll(/"metadata": \{\s*"create_backup_progress": "[^"]*"\s*\}/g, '"metadata": null')
    // How ids lie in the files, which LXD rewrites here, and what an instance was doing when it was packed.
    .replaceAll(/into database "(UNIQUE|Volume by).*"/g, 'into database <taken>').replaceAll(/^\s*"?volatile\.(apply_template|idmap\.current|last_state\.(idmap|power)).*\n/gm, ''),
};

/** LXD 5.0.2 now and then never answers an import it refuses: then it is asked again. Roost is asked once. */
const patiently = 'for try in $(seq $TRIES); do timeout 10 bash -c "$COMMAND"; code=$?; [ $code = 124 ] || break; done; (exit $code)';

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) {
      it(command, () => { same(pair.roost, pair.lxd, /^lxc (storage volume )?import/.test(command) ? patiently : command, { ...options, env: (target) => ({ COMMAND: command, TRIES: target.kind === 'lxd' ? '6' : '1' }) }); });
    }
  });
}

const post = (body: string, path: string, wait = '--wait '): string => `lxc query -X POST -d '${body}' ${wait}${path}`;

lines('backups', `
  lxc query /1.0/instances/c1/backups
  ${post('{"name":"b0","compression_algorithm":"none"}', '/1.0/instances/c1/backups')}
  ${post('{}', '/1.0/instances/c1/backups')}
  ${post('{"instance_only":true,"expires_at":"2035-01-01T00:00:00Z","compression_algorithm":"xz -1"}', '/1.0/instances/c1/backups')}
  ${post('{"name":"opt","optimized_storage":true}', '/1.0/instances/b1/backups')}
  ${post('{"name":"notopt","optimized_storage":true}', '/1.0/instances/c1/backups')}
  lxc query /1.0/instances/c1/backups
  lxc query '/1.0/instances/c1/backups?recursion=1'
  lxc query '/1.0/containers/b1/backups?recursion=1'
  lxc query /1.0/instances/c1/backups/b0
  lxc query /1.0/instances/c1/backups/nope
  lxc query /1.0/instances/nope/backups
  lxc query '/1.0/instances/c1?recursion=1' | grep -A40 '"backups"' | grep -B40 '"config"'
  ${post('{"name":"b0"}', '/1.0/instances/c1/backups')}
  ${post('{"name":"a/b"}', '/1.0/instances/c1/backups', '')}
  ${post('{"compression_algorithm":"foo"}', '/1.0/instances/c1/backups', '')}
  ${post('{"expires_at":"soon"}', '/1.0/instances/c1/backups', '')}
  ${post('{"name":"renamed"}', '/1.0/instances/c1/backups/b0')}
  ${post('{"name":"a/b"}', '/1.0/instances/c1/backups/renamed', '')}
  ${post('{"name":"x"}', '/1.0/instances/c1/backups/nope', '')}
  curl -si --unix-socket $LXD_DIR/unix.socket http://x/1.0/instances/c1/backups/renamed/export -r 0-9 -o body -w '%{http_code} %{content_type}'; wc -c <body | tr -d ' ' >/dev/null
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/instances/c1/backups/renamed/export | tar tf - | sed 's,/$,,' | grep -v 'snapshots/.*/backup.yaml' | sort
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/instances/b1/backups/opt/export | tar tzf - | sort
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/instances/c1/backups/nope/export
  lxc query -X DELETE --wait /1.0/instances/c1/backups/renamed
  lxc query -X DELETE --wait /1.0/instances/c1/backups/renamed
  lxc rename c1 c9 && lxc query /1.0/instances/c9/backups && lxc rename c9 c1
`);

for (const [name, flags] of [['c1', ''], ['b1', ''], ['b1', '--optimized-storage'], ['c1', '--instance-only --compression none'], ['b1', '--compression zstd']] as const) {
  lines(`export and import of ${name} ${flags}`, `
    lxc export -q ${name} file ${flags}
    lxc query /1.0/instances/${name}/backups | grep -c ${name}/backups/backup[3-9]
    lxc import -q file
    lxc import -q file i1
    lxc import -q file i1
    lxc config show i1
    lxc query /1.0/instances/i1/snapshots
    lxc query '/1.0/instances/i1?recursion=1' | grep -v '"usage"'
    lxc start i1 2>/dev/null; lxc exec i1 -- sh -c 'cat /root/mark; stat -c "%n %a %u %g %h %F" /root/*'
    lxc restore i1 s0; lxc exec i1 -- cat /root/mark
    lxc delete -f i1
    lxc import -q file i2 -s ${name === 'c1' ? 'bt' : 'default'}
    lxc config show i2
    lxc query /1.0/instances/i2/snapshots/s0
    lxc start i2 2>/dev/null; lxc exec i2 -- cat /root/mark
    lxc delete -f i2
    rm file
  `);
}

lines('backups of volumes', `
  lxc query /1.0/storage-pools/default/volumes/custom/v1/backups
  ${post('{"name":"b0","compression_algorithm":"none"}', '/1.0/storage-pools/default/volumes/custom/v1/backups')}
  ${post('{}', '/1.0/storage-pools/default/volumes/custom/v1/backups')}
  ${post('{"volume_only":true,"expires_at":"2035-01-01T00:00:00Z","compression_algorithm":"xz -1"}', '/1.0/storage-pools/default/volumes/custom/v1/backups')}
  ${post('{"name":"opt","optimized_storage":true}', '/1.0/storage-pools/bt/volumes/custom/v1/backups')}
  ${post('{"name":"notopt","optimized_storage":true}', '/1.0/storage-pools/default/volumes/custom/v1/backups')}
  lxc query /1.0/storage-pools/default/volumes/custom/v1/backups
  lxc query '/1.0/storage-pools/default/volumes/custom/v1/backups?recursion=1'
  lxc query '/1.0/storage-pools/bt/volumes/custom/v1/backups?recursion=1'
  lxc query /1.0/storage-pools/default/volumes/custom/v1/backups/b0
  lxc query /1.0/storage-pools/default/volumes/custom/v1/backups/nope
  lxc query /1.0/storage-pools/default/volumes/custom/nope/backups
  lxc query /1.0/storage-pools/nope/volumes/custom/v1/backups
  lxc query /1.0/storage-pools/default/volumes/container/c1/backups
  ${post('{}', '/1.0/storage-pools/default/volumes/container/c1/backups')}
  ${post('{}', '/1.0/storage-pools/default/volumes/custom/nope/backups')}
  ${post('{"name":"b0"}', '/1.0/storage-pools/default/volumes/custom/v1/backups')}
  ${post('{"name":"a/b"}', '/1.0/storage-pools/default/volumes/custom/v1/backups', '')}
  ${post('{"compression_algorithm":"foo"}', '/1.0/storage-pools/default/volumes/custom/v1/backups', '')}
  ${post('{"expires_at":"soon"}', '/1.0/storage-pools/default/volumes/custom/v1/backups', '')}
  ${post('{"name":"renamed"}', '/1.0/storage-pools/default/volumes/custom/v1/backups/b0')}
  ${post('{"name":"a/b"}', '/1.0/storage-pools/default/volumes/custom/v1/backups/renamed', '')}
  ${post('{"name":"x"}', '/1.0/storage-pools/default/volumes/custom/v1/backups/nope', '')}
  curl -si --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/default/volumes/custom/v1/backups/renamed/export -r 0-9 -o body -w '%{http_code} %{content_type}'
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/default/volumes/custom/v1/backups/renamed/export | tar tf - | sed 's,/$,,' | sort
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/default/volumes/custom/v1/backups/renamed/export | tar xOf - backup/index.yaml
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/bt/volumes/custom/v1/backups/opt/export | tar tzf - | sort
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/default/volumes/custom/v1/backups/nope/export
  lxc query -X DELETE --wait /1.0/storage-pools/default/volumes/custom/v1/backups/renamed
  lxc query -X DELETE --wait /1.0/storage-pools/default/volumes/custom/v1/backups/renamed
  lxc storage volume rename bt v1 v9 && lxc query /1.0/storage-pools/bt/volumes/custom/v9/backups && lxc storage volume rename bt v9 v1
`);

for (const [pool, name, flags] of [['default', 'v1', ''], ['bt', 'v1', ''], ['bt', 'v1', '--optimized-storage'], ['default', 'k1', '--volume-only --compression none'], ['bt', 'k1', '--optimized-storage']] as const) {
  const look = name === 'v1' ? `${inVolume(pool, 'i1')}; cat $v/mark; cd $v; ${listing}` : `stat -c %s ${disk(pool, 'i1')}; tr -d '\\0' <${disk(pool, 'i1')}`;
  lines(`export and import of volume ${pool}/${name} ${flags}`, `
    lxc storage volume export -q ${pool} ${name} file ${flags} >/dev/null
    lxc query /1.0/storage-pools/${pool}/volumes/custom/${name}/backups | grep -c 'backups/backup[3-9]'
    lxc storage volume import ${pool} file >/dev/null
    lxc storage volume import ${pool} file i1 >/dev/null
    lxc storage volume import ${pool} file i1 >/dev/null
    lxc storage volume show ${pool} i1
    lxc query '/1.0/storage-pools/${pool}/volumes/custom/i1/snapshots?recursion=1'
    ${look}
    lxc storage volume restore ${pool} i1 s0; ${look}
    lxc storage volume delete ${pool} i1
    rm file
  `);
}

lines('imports of volumes that are refused', `
  lxc storage volume export -q default v1 good >/dev/null; lxc storage volume export -q bt v1 opt --optimized-storage >/dev/null
  lxc storage volume import default junk >/dev/null
  lxc storage volume import default empty >/dev/null
  lxc storage volume import default none.tgz >/dev/null
  lxc storage volume import default wrong.tgz 2>&1 >/dev/null | cut -c1-20
  lxc storage volume import default good a/b >/dev/null
  lxc storage volume import nope good x >/dev/null
  lxc storage volume import default opt x >/dev/null
  lxc storage volume import default good x --project nope >/dev/null
  lxc storage volume import bt good 'a b' >/dev/null; lxc storage volume list bt -f csv -c tnu
  lxc storage volume delete bt 'a b'
`);

lines('imports that are refused', `
  lxc export -q c1 good
  lxc import -q junk
  lxc import -q empty
  lxc import -q none.tgz
  lxc import -q wrong.tgz 2>&1 | cut -c1-20
  lxc import -q good 'a b'
  lxc import -q good x -s nope
  lxc import -q good -s bt
  lxc import -q good x --project nope
  lxc delete c1; lxc profile delete extra
  lxc profile remove b1 extra; lxc profile delete extra
  lxc import -q good
  lxc profile create extra; lxc import -q good; lxc list -f csv -c nsS
  lxc project create web -c features.images=false; lxc profile device add default root disk path=/ pool=default --project web; lxc profile create extra --project web
  lxc import -q good --project web; lxc list --project web -f csv -c nsS
  lxc delete c1 --project web
`);

describe('an archive of a volume of one daemon', () => {
  it.each([['default', 'v1', ''], ['bt', 'v1', ''], ['bt', 'v1', '--optimized-storage'], ['default', 'k1', ''], ['bt', 'k1', '--optimized-storage']] as const)('of %s/%s %s is the same volume on the other', (pool, name, flags) => {
    for (const [from, to] of [[pair.roost, pair.lxd], [pair.lxd, pair.roost]] as const) {
      const file = join(from.root, 'archive');
      must(from, `lxc storage volume export -q ${pool} ${name} ${file} ${flags} >/dev/null`);
      for (const target of flags === '' ? ['default', 'bt'] : ['bt']) {
        const look = name === 'v1' ? `cat $v/mark; cd $v; ${listing}` : "stat -c %s $v/root.img; tr -d '\\0' <$v/root.img";
        must(to, `lxc storage volume import ${target} ${file} other >/dev/null`);
        const of = (which: Target, where: string, volume: string): string => must(which, `${inVolume(where, volume)}; ${look}`);
        expect(of(to, target, 'other')).toBe(of(from, pool, name));
        must(from, `lxc storage volume copy -q ${pool}/${name} ${pool}/before >/dev/null; lxc storage volume restore ${pool} before s0`);
        must(to, 'lxc storage volume restore ' + target + ' other s0');
        expect(of(to, target, 'other')).toBe(of(from, pool, 'before'));
        must(from, `lxc storage volume delete ${pool} before`);
        must(to, `lxc storage volume delete ${target} other`);
      }
      must(from, `rm ${file}`);
    }
  });
});

describe('an archive of a volume that an instance has used', () => {
  it.each(['', '--optimized-storage'])('%s shows its owners to an instance of the other', (flags) => {
    const shown = "stat -c '%n %u %g' /data /data/*";
    for (const [from, to] of [[pair.roost, pair.lxd], [pair.lxd, pair.roost]] as const) {
      const file = join(from.root, 'archive');
      const use = (target: Target, command: string): string => must(target, `lxc storage volume attach bt used b1 data /data; lxc start b1 2>/dev/null; lxc exec b1 -- sh -c "${command}"`);
      const leave = (target: Target): string => must(target, 'lxc stop -f b1; lxc storage volume detach bt used b1; lxc storage volume delete bt used');
      must(from, 'lxc storage volume create bt used; lxc storage volume snapshot bt used before');
      use(from, 'touch /data/root /data/other; chown 5:6 /data/other');
      must(from, `lxc storage volume snapshot bt used after; lxc storage volume export -q bt used ${file} ${flags} >/dev/null`);
      leave(from);

      must(to, `lxc storage volume import bt ${file} used >/dev/null`);
      const expected = '/data 0 0\n/data/other 5 6\n/data/root 0 0\n';
      expect(use(to, shown)).toBe(expected);
      // LXD has forgotten how ids lie in the snapshot.
      if (to.kind === 'roost') {
        must(to, 'lxc stop -f b1; lxc storage volume restore bt used after; lxc start b1 2>/dev/null');
        expect(must(to, `lxc exec b1 -- sh -c "${shown}"`)).toBe(expected);
      }
      leave(to);
    }
  });
});

describe('an archive of one daemon', () => {
  const archives = [['c1', ''], ['b1', ''], ['b1', '--optimized-storage'], ['b1', '--instance-only --optimized-storage --compression none']] as const;

  it.each(archives)('of %s %s starts on the other, with its snapshots', (name, flags) => {
    for (const [from, to] of [[pair.roost, pair.lxd], [pair.lxd, pair.roost]] as const) {
      const file = join(from.root, 'archive');
      must(from, `lxc export -q ${name} ${file} ${flags}`);
      for (const pool of flags.includes('optimized') ? ['bt'] : ['default', 'bt']) {
        must(to, `lxc import -q ${file} other -s ${pool} && lxc start other 2>/dev/null`);
        expect(inside(to, "cat /root/mark; stat -c '%n %a %u %g %h %F' /root/*")).toBe(
          'two\n/root/fifo 644 0 0 1 fifo\n/root/hard 4755 1000 1001 2 regular file\n/root/link 777 0 0 1 symbolic link\n/root/mark 4755 1000 1001 2 regular file\n/root/new 644 0 0 1 regular file\n');
        if (!flags.includes('instance-only')) {
          must(to, 'lxc restore other s0');
          expect(inside(to, 'cat /root/mark; ls /root')).toBe('one\nfifo\nhard\nlink\nmark\n');
        }
        must(to, 'lxc delete -f other');
      }
      must(from, `rm ${file}`);
    }
  });
});

function inside(target: Target, command: string): string {
  return must(target, `lxc exec other -- sh -c "${command}"`);
}
