import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolve } from 'node:path';
import { ClientTarget } from '../support/client-target.js';
import { must } from '../support/pair.js';
import { Target } from '../support/target.js';

const top = resolve(import.meta.dirname, '../..');
const reason = Target.whyNotBoth();

/** Our command line moves things between two servers of LXD, whoever connects to whom: it is a good client of LXD. */
describe.skipIf(reason !== '')('two servers of LXD', () => {
  const near = new ClientTarget('lxd');
  const far = new Target('lxd');
  const addresses = new Map<Target, string>([[near, '127.37.1.1:8443'], [far, '127.37.1.2:8443']]);

  beforeAll(async () => {
    await Promise.all([near.start(), far.start()]);
    for (const target of [near, far]) {
      must(target, 'lxc storage create default dir && lxc profile device add default root disk path=/ pool=default');
      must(target, `lxc config set core.https_address=${addresses.get(target)} core.trust_password=secret`);
    }
    must(near, `lxc remote add far ${addresses.get(far)} --accept-certificate --password secret && lxc remote add self ${addresses.get(near)} --accept-certificate --password secret`);
    must(near, `${top}/deploy/busybox-image >bb.tar.gz && lxc image import bb.tar.gz --alias bb && lxc init bb c1 -c user.of=near && lxc snapshot c1 s1`);
    must(near, 'echo from-near | lxc file push - c1/root/mark && lxc storage volume create default v1 user.of=near && lxc storage volume snapshot default v1 s1');
  });
  afterAll(async () => {
    must(far, 'for i in $(lxc storage volume list default -f csv -c tn | grep ^custom, | cut -d, -f2 | grep -v /); do lxc storage volume delete default "$i"; done');
    for (const target of [near, far]) await target.destroy();
  });

  const shows = (line: string): string => must(near, line).trim();

  it.each(['pull', 'push', 'relay'])('copy an instance with its snapshots: %s', (mode) => {
    // What a try before this one has left goes first.
    must(near, `lxc delete far:c-${mode} 2>/dev/null; lxc copy self:c1 far:c-${mode} --mode ${mode}`);
    expect(shows(`lxc list far:c-${mode} -f csv -c nsS`)).toBe(`c-${mode},STOPPED,1`);
    expect(shows(`lxc file pull far:c-${mode}/root/mark -; lxc config get far:c-${mode} user.of`)).toBe('from-near\nnear');
  });

  it('copy a snapshot, an instance without its snapshots, bring a copy up to date, and move one', () => {
    must(near, 'lxc copy self:c1/s1 far:snap && lxc copy self:c1 far:only --instance-only --mode push && lxc delete far:c-push');
    expect(shows('lxc list far: -f csv -c nS')).toBe('c-pull,1\nc-relay,1\nonly,0\nsnap,0');
    must(near, 'echo changed | lxc file push - c1/root/mark && lxc copy self:c1 far:c-pull --refresh && lxc move far:c-relay self:back --mode relay');
    expect(shows('lxc file pull far:c-pull/root/mark -; lxc list back -f csv -c nS')).toBe('changed\nback,1');
    must(near, 'lxc delete far:c-pull far:snap far:only back');
  });

  it.each(['pull', 'push', 'relay'])('copy a custom volume: %s', (mode) => {
    must(near, `for v in v only; do lxc storage volume delete far:default $v-${mode} 2>/dev/null; done; lxc storage volume copy self:default/v1 far:default/v-${mode} --mode ${mode}`);
    expect(shows(`lxc storage volume get far:default v-${mode} user.of; lxc storage volume list far:default -f csv -c n | grep v-${mode} | sort`)).toBe(`near\nv-${mode}\nv-${mode}/s1`);
    must(near, `lxc storage volume copy self:default/v1 far:default/only-${mode} --mode ${mode} --volume-only`);
    expect(shows(`lxc storage volume list far:default -f csv -c n | grep only-${mode}`)).toBe(`only-${mode}`);
  });

  it.each(['pull', 'push', 'relay'])('copy an image: %s', (mode) => {
    must(near, `lxc image delete far:bb-${mode} 2>/dev/null; lxc image copy self:bb far: --alias bb-${mode} --mode ${mode}`);
    expect(shows(`lxc image list far: -f csv -c l`)).toBe(`bb-${mode}`);
    expect(shows(`lxc image show far:bb-${mode} | head -1; lxc image delete far:bb-${mode}`)).toBe('auto_update: false');
  });

  it('are not asked for what they cannot do', () => {
    expect(near.run('lxc copy self:c1 far:x --mode banana')).toMatchObject({ code: 1, stderr: expect.stringContaining('mode') as string });
    expect(near.run('lxc copy far:nosuch self:x')).toMatchObject({ code: 1, stderr: expect.stringContaining('Instance not found') as string });
    expect(near.run('lxc copy self:c1/s1 far:x --instance-only')).toMatchObject({ code: 1, stderr: expect.stringContaining("--instance-only can't be passed when the source is a snapshot") as string });
    expect(shows('lxc list far: -f csv')).toBe('');
  });
});
