import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { eventually } from '../support/member.js';
import { must, Pair } from '../support/pair.js';
import type { Target } from '../support/target.js';

/** Lost rows come back from what volumes say of themselves, question by question as with real LXD. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc storage create bt btrfs size=1GiB; lxc profile create extra; lxc project create web -c features.images=false -c features.profiles=false');
    must(target, 'lxc init bb c1 -q -c user.mark=yes; lxc snapshot c1 s1; lxc snapshot c1 s0; lxc init bb b1 -q -s bt -p default -p extra; lxc snapshot b1 s0; lxc init bb w1 -q --project web');
    must(target, 'lxc storage volume create default v1 user.a=b; lxc storage volume snapshot default v1 s0; lxc storage volume snapshot default v1 s1; lxc storage volume create bt k1 --type=block size=1MiB; lxc storage volume create bt w_2 --project web; lxc storage volume attach default v1 c1 data /data');
    // Ours writes its descriptions a moment later.
    await eventually(() => target.run('grep -c "name: s0" $LXD_DIR/storage-pools/default/containers/c1/backup.yaml; grep -l extra $LXD_DIR/storage-pools/bt/containers/b1/backup.yaml; ls $LXD_DIR/storage-pools/default/containers/web_w1/backup.yaml').code, (code) => code === 0, 20_000);
  }
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replaceAll(/^\s*"?volatile\.(apply_template|idmap\.current|last_state\.(idmap|power)).*\n/gm, '').replaceAll(/"Hostid":\d+/g, '"Hostid":<id>').replaceAll(/"Maprange":\d+/g, '"Maprange":<n>')
    // LXD does not record when a volume was made.
    .replaceAll(/^\s*"?created_at.*\n/gm, '')
    // LXD names its drivers in an order of the moment.
    .replaceAll(/\bdir(,?) btrfs\b/g, 'btrfs$1 dir'),
};

const forget = `for t in instances storage_volumes; do for n in c1 b1 w1 v1 k1 w_2; do lxd sql global "delete from $t where name='$n'" >/dev/null; done; done`;

describe('recover', () => {
  it.each([
    "printf 'no\\nyes\\n' | lxd recover",
    `${forget}; lxc list -f csv`,
    "printf 'no\\nno\\n' | lxd recover",
    // LXD looks at pools in no order.
    "printf 'no\\nyes\\nno\\n' | lxd recover | sort",
    'lxc profile delete extra; lxc query -X POST -d \'{"pools":[{"name":"default"},{"name":"bt"}]}\' /internal/recover/validate | tr -d , | sort',
    "lxc profile create extra; printf 'no\\nyes\\nyes\\n' | lxd recover | sort",
    'lxc list -f csv -c nsS --all-projects',
    'lxc storage volume list default -f csv; lxc storage volume list bt -f csv; lxc storage volume list bt -f csv --project web',
    "lxc storage volume show default v1; lxc storage volume show bt k1; lxc query '/1.0/storage-pools/default/volumes/custom/v1/snapshots?recursion=1'",
    'lxc config show c1',
    'lxc config show b1',
    'lxc query /1.0/instances/c1/snapshots',
    'lxc query /1.0/instances/b1/snapshots/s0 | grep -v created_at',
    "printf 'no\\nyes\\n' | lxd recover",
    'lxc start c1 b1 2>/dev/null; lxc exec c1 -- id; lxc exec b1 -- id; lxc stop -f c1 b1; lxc restore c1 s1; lxc delete c1 b1; lxc delete w1 --project web; lxc storage volume delete default v1; lxc storage volume delete bt k1; lxc storage volume delete bt w_2 --project web',
    "printf 'yes\\nnew\\nfoo\\n' | lxd recover",
    "printf 'maybe\\n' | lxd recover",
  ])('%s', (command) => { same(pair.roost, pair.lxd, command, options); });
});

describe('a pool that LXD has left', () => {
  it.each([['dir', ''], ['btrfs', 'size=256MiB']])('of %s: custom volumes have the ids in their files that containers know', (driver, options) => {
    const pool = `left-${driver}`;
    const source = driver === 'dir' ? join(pair.lxd.root, pool) : join(pair.lxd.dir, `storage-pools/${pool}`);
    const run = (target: Target, line: string) => must(target, line.replaceAll('POOL', pool));
    if (driver === 'dir') mkdirSync(source, { mode: 0o711 });
    run(pair.lxd, `lxc storage create POOL ${driver} ${options} ${driver === 'dir' ? `source=${source}` : ''}; lxc init bb l-${driver} -q -s POOL; lxc storage volume create POOL v1; lxc storage volume snapshot POOL v1 s0`);
    run(pair.lxd, `lxc storage volume attach POOL v1 l-${driver} data /data; lxc start l-${driver} 2>/dev/null; lxc exec l-${driver} -- sh -c 'echo x >/data/f; chown 7:8 /data/f'; lxc storage volume snapshot POOL v1 s1; lxc exec l-${driver} -- chown 9:9 /data/f; lxc stop -f l-${driver}`);
    const owners = `lxc start l-${driver} 2>/dev/null; lxc exec l-${driver} -- stat -c '%u:%g %n' /data /data/f; lxc stop -f l-${driver}`;
    const onHost = (of: string): string => `stat -c '%u:%g' $LXD_DIR/storage-pools/POOL/${of}`;
    expect(run(pair.lxd, `${onHost('custom/default_v1/f')} ${onHost('custom-snapshots/default_v1/s1/f').slice('stat -c \'%u:%g\' '.length)}`)).not.toMatch(/^[0-9]:/m);

    run(pair.roost, `printf 'yes\nPOOL\n${driver}\n${source}\n\nno\nyes\nyes\n' | lxd recover`);

    expect(run(pair.roost, owners)).toBe('0:0 /data\n9:9 /data/f\n');
    expect(run(pair.roost, `lxc storage volume restore POOL v1 s1; ${owners}`)).toBe('0:0 /data\n7:8 /data/f\n');
    expect(run(pair.roost, `${onHost('custom-snapshots/default_v1/s0')}; ${onHost('custom-snapshots/default_v1/s1')}`)).toBe('0:0\n0:0\n');
    run(pair.roost, `lxc delete l-${driver}; lxc storage volume delete POOL v1; lxc storage delete POOL`);
  });
});
