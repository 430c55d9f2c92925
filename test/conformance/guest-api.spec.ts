import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { buildForGuests } from '../support/guest-programs.js';
import { must, Pair } from '../support/pair.js';
import type { Target } from '../support/target.js';

/** What a program inside hears at /dev/lxd/sock, on Roost and on real LXD. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare({ bridge: true });
  for (const target of pair.both) {
    buildForGuests(join(target.root, 'tools'), 'guest-call');
    must(target, `lxc profile device add default tools disk source=${join(target.root, 'tools')} path=/tools`);
    must(target, 'lxc launch bb c1 -q -c user.foo=bar -c cloud-init.vendor-data=x -c user.user-data="#cloud-config" -c boot.autostart.delay=0 2>/dev/null');
  }
});
afterAll(() => pair.destroy());

/** Roost ends a connection where it likes, says how long it keeps one, and lists keys in their order. */
const options: CompareOptions = {
  normalise: (text) => text.split('\n').filter((line) => !/^(Date|Connection|Keep-Alive|X-Content-Type-Options|Last-Modified|Accept-Ranges):/.test(line)).map(sorted).join('\n')
    .replaceAll(/ctbr-[lr]/g, '<bridge>').replaceAll(/[\da-f]{64}/g, '<fingerprint>'),
};

/** LXD lists in the order of a hash, and headers in that of their names. */
function sorted(line: string): string {
  return line.startsWith('["/1.0/config') ? JSON.stringify((JSON.parse(line) as string[]).sort()) : line;
}

function each(commands: string): void {
  for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) it(command, () => { same(pair.roost, pair.lxd, command, options); });
}

describe('answers', () => {
  each(`
    lxc exec c1 -- /tools/guest-call GET /
    lxc exec c1 -- /tools/guest-call GET /1.0
    lxc exec c1 -- /tools/guest-call GET /1.0/
    lxc exec c1 -- /tools/guest-call GET /2.0
    lxc exec c1 -- /tools/guest-call GET /1.0/meta-data
    lxc exec c1 -- /tools/guest-call GET /1.0/config
    lxc exec c1 -- /tools/guest-call GET /1.0/config/user.foo
    lxc exec c1 -- /tools/guest-call GET /1.0/config/user.nope
    lxc exec c1 -- /tools/guest-call GET /1.0/config/user.foo/x
    lxc exec c1 -- /tools/guest-call GET /1.0/config/cloud-init.vendor-data
    lxc exec c1 -- /tools/guest-call GET /1.0/config/boot.autostart.delay
    lxc exec c1 -- /tools/guest-call GET /1.0/config/volatile.uuid
    lxc exec c1 -- /tools/guest-call GET /1.0/devices | grep -v Content-Length | sed 's|"source":"[^"]*"|"source":"<tools>"|'
    lxc exec c1 -- /tools/guest-call GET /1.0/images/abc/export
    lxc exec c1 -- /tools/guest-call GET /1.0/nope
    lxc exec c1 -- /tools/guest-call PATCH /1.0
    lxc exec c1 -- /tools/guest-call HEAD /1.0
    lxc exec c1 -- /tools/guest-call DELETE /1.0/config/user.foo
    lxc exec c1 --user 1000 -- /tools/guest-call GET /1.0
    lxc config set c1 user.meta-data='more: 1'
    lxc exec c1 -- /tools/guest-call GET /1.0/meta-data
    lxc profile set default user.from-profile=p
    lxc exec c1 -- /tools/guest-call GET /1.0/config/user.from-profile
    lxc profile unset default user.from-profile
    lxc exec c1 -- ls /dev/lxd
    lxc exec c1 -- sh -c 'stat -c "%a %u %g" /dev/lxd /dev/lxd/sock'
  `);
});

describe('images', () => {
  each(`
    lxc config set c1 security.devlxd.images=true
    lxc exec c1 -- /tools/guest-call GET /1.0/images/abc/export
    lxc exec c1 -- /tools/guest-call GET /1.0/images/$(lxc image list -f csv -c F)/export
    lxc image show bb | sed 's/public: false/public: true/' | lxc image edit bb
    lxc exec c1 -- /tools/guest-call GET /1.0/images/$(lxc image list -f csv -c F)/export | head -c 200 | head -3 | tr -d '\\r'
    lxc exec c1 -- /tools/guest-call GET /1.0/images/$(lxc image list -f csv -c F)/export | wc -c | awk '{print $1 > 1000000}'
    lxc config unset c1 security.devlxd.images
    lxc exec c1 -- /tools/guest-call GET /1.0/images/abc/export
  `);
});

describe('events', () => {
  const watching = (path: string, changes: string): string => `lxc exec c1 -- /tools/guest-call GET ${path} 3 & sleep 1; { ${changes}; } >/dev/null; wait`;

  it('tell of keys and devices, in the same words', () => {
    const line = watching('/1.0/events', 'lxc config set c1 user.foo=baz cloud-init.vendor-data=y limits.processes=500; lxc config unset c1 user.foo; '
      + 'lxc config device add c1 sh disk source=/usr/share path=/mnt; lxc config device set c1 sh readonly=true; lxc config device remove c1 sh; '
      + 'lxc profile set default user.p=1; lxc profile unset default user.p');
    expect(same(pair.roost, pair.lxd, line, options).stdout.split('\n').length).toBeGreaterThan(10);
  });

  it('are those asked for', () => {
    same(pair.roost, pair.lxd, watching('/1.0/events?type=config', 'lxc config set c1 user.foo=1; lxc config device add c1 sh disk source=/usr/share path=/mnt; lxc config device remove c1 sh'), options);
    same(pair.roost, pair.lxd, watching('/1.0/events?type=bogus', 'lxc config set c1 user.foo=2'), options);
  });
});

describe('security.devlxd', () => {
  each(`
    lxc config set c1 security.devlxd=false
    lxc exec c1 -- ls /dev/lxd
    lxc config unset c1 security.devlxd
    lxc exec c1 -- /tools/guest-call GET /1.0
    lxc config set c1 security.devlxd=false
    lxc restart -f c1
    lxc exec c1 -- ls /dev/lxd
    lxc config set c1 security.devlxd=true
    lxc exec c1 -- /tools/guest-call GET /1.0
    lxc config set c1 security.devlxd=maybe
    lxc config set c1 security.devlxd.images=maybe
  `);
});

describe("cloud-init's instance id", () => {
  const id = (target: Target): string => must(target, 'lxc config get c2 volatile.cloud-init.instance-id').trim();

  it('changes when LXD changes it', () => {
    for (const target of pair.both) must(target, 'lxc init bb c2 -q');
    const changes = [
      'lxc config set c2 user.foo=x', 'lxc config set c2 user.meta-data=x', 'lxc config set c2 user.user-data=x', 'lxc config set c2 user.user-data=x', 'lxc config unset c2 user.user-data',
      'lxc config set c2 user.network-config=x', 'lxc config set c2 cloud-init.vendor-data=x', 'lxc config set c2 cloud-init.network-config="version: 2"', 'lxc config set c2 environment.X=1',
      'lxc config device override c2 eth0 name=eth7', 'lxc config device set c2 eth0 hwaddr=00:16:3e:11:22:33', 'lxc config device add c2 sh disk source=/usr/share path=/mnt',
      'lxc profile set default user.vendor-data=zz', 'lxc profile unset default user.vendor-data', 'lxc snapshot c2 s0', 'lxc restore c2 s0', 'lxc rename c2 c3 && lxc rename c3 c2',
    ];
    const observed = pair.both.map((target) => changes.map((line) => {
      const before = id(target);
      must(target, line);
      return `${line}: ${id(target) === before ? 'same' : 'new'}`;
    }));
    expect(observed[0]).toEqual(observed[1]);
  });
});
