import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same } from '../support/compare.js';
import { unmet } from '../support/needs.js';
import { Target } from '../support/target.js';

/** `roostd init` and the other commands of the daemon beside `lxd`'s: same flags, exit codes, words and resulting server. */
describe.skipIf(unmet('commands of the daemon', Target.whyNotBoth()))('commands of the daemon', () => {
  const roost = new Target('roost');
  const lxd = new Target('lxd');
  /** Links are the host's, so the two bridges have names and subnets of their own. */
  const env = (target: Target): NodeJS.ProcessEnv => target === lxd
    ? { BR: 'ctinit-l', NET: '10.98.81.1/24', PORT: '18481' } : { BR: 'ctinit-r', NET: '10.98.82.1/24', PORT: '18482' };
  const normalise = (text: string): string => text.replace(/ctinit-[lr]/g, '<bridge>').replace(/1848[12]/g, '<port>').replaceAll('(dir, btrfs)', '(btrfs, dir)').replace(/volatile\.uuid: .*/g, '')
    .replace(/\b(roostd|lxd)\b/g, '<daemon>');
  const alike = (line: string): string => same(roost, lxd, line, { env, normalise }).stdout;
  const preseed = (yaml: string): string => `cat <<END | lxd init --preseed\n${yaml}\nEND`;
  const full = [
    'config:', '  images.auto_update_interval: 15', '  user.note: first',
    'storage_pools:', '- name: default', '  driver: dir', '  description: Where it lies', '  config: {}',
    'networks:', '- name: $BR', '  type: bridge', '  config:', '    ipv4.address: $NET', '    ipv4.nat: true', '    ipv6.address: none',
    'profiles:', '- name: default', '  devices:', '    root:', '      path: /', '      pool: default', '      type: disk',
    '    eth0:', '      name: eth0', '      network: $BR', '      type: nic',
    '- name: small', '  description: Small ones', '  config:', '    limits.memory: 64MiB',
    'projects:', '- name: lab', '  description: Trials', '  config:', '    features.images: "true"', '    features.profiles: "false"',
  ].join('\n');

  beforeAll(async () => { await Promise.all([roost.start(), lxd.start()]); });
  afterAll(async () => { for (const target of [roost, lxd]) await target.destroy(); });

  it.each([
    '--auto --preseed', '--minimal --preseed', '--minimal --auto', '--storage-backend=dir', '--dump --auto', '--dump --preseed', '--dump --network-port=1', '--network-port=8443',
    '--auto --storage-backend=dir --storage-create-loop=5', '--auto --storage-backend=dir --storage-pool=p', '--auto --storage-backend=btrfs --storage-create-loop=5 --storage-create-device=/dev/x',
    '--auto --network-port=8443', '--auto --trust-password=x', '--auto --storage-backend=nonsense', '--auto --network-port=many', '--nonsense',
    '--auto --storage-create-loop=ten',
  ])('init %s', (flags) => { alike(`lxd init ${flags} </dev/null`); });

  it('dumps an empty server', () => { alike('lxd init --dump'); });

  it.each([
    ['a list', '- a'], ['a field nobody knows', 'nonsense: 1'],
    ['a field nobody knows of a pool', 'storage_pools:\n- name: p\n  drvier: dir'], ['a text where a map belongs', 'config: text'],
    ['a map where a list belongs', 'storage_pools: {}'], ['nothing', ''],
    ['a setting nobody knows', 'config:\n  core.nonsense: 1'], ['a driver nobody knows', 'storage_pools:\n- name: p\n  driver: nonsense'],
    ['a pool without a name', 'storage_pools:\n- driver: dir'], ['a profile with a bad setting', 'storage_pools:\n- name: gone\n  driver: dir\nprofiles:\n- name: p\n  config:\n    limits.nonsense: 1'],
    ['a network with a bad setting', 'storage_pools:\n- name: gone\n  driver: dir\nnetworks:\n- name: $BR\n  type: bridge\n  config:\n    ipv4.address: 300.1.1.1/24'],
    ['a project with a bad setting', 'projects:\n- name: p\n  config:\n    features.nonsense: "true"'],
    ['a network in no project', 'networks:\n- name: $BR\n  type: bridge\n  project: nowhere'],
  ])('refuses or accepts %s and leaves nothing half done', (_what, yaml) => {
    alike(preseed(yaml));
    alike('lxd init --dump');
  });

  it('applies a preseed, and again', () => {
    alike(preseed(full));
    alike('lxd init --dump');
    alike(preseed(full));
    alike('lxd init --dump');
  });

  it('changes what exists', () => {
    alike(preseed('config:\n  user.note: second\nprofiles:\n- name: small\n  config:\n    limits.cpu: 1\nprojects:\n- name: lab\n  description: Other trials\nstorage_pools:\n- name: default\n  driver: dir\n  description: Elsewhere'));
    alike('lxd init --dump');
    alike(preseed('storage_pools:\n- name: default\n  driver: btrfs'));
    alike(preseed('networks:\n- name: $BR\n  type: macvlan'));
    alike('lxd init --dump');
    alike('lxd init --dump | lxd init --preseed && lxd init --dump');
  });

  it('runs --auto and --minimal on a configured server', () => {
    alike('lxd init --minimal');
    alike('lxd init --auto');
    alike('lxd init --auto --storage-backend=dir');
    alike('lxd init --auto --storage-pool=other');
    alike('lxd init --auto --network-address=127.0.0.1 --network-port=$PORT --trust-password=sekret');
    alike('lxc config get core.https_address; lxc config get core.trust_password');
    alike('lxc config unset core.https_address; lxc config unset core.trust_password');
    alike('lxd init --dump');
  });

  it('asks', () => {
    alike("printf 'no\\nno\\nno\\nno\\nno\\nno\\nyes\\n' | lxd init");
    alike("printf 'no\\nyes\\ndefault\\nsecond\\nnonsense\\ndir\\nno\\nno\\nno\\nno\\nyes\\nyes\\n' | lxd init");
    alike("printf 'maybe\\nno\\nno\\nno\\nno\\nyes\\nyes\\n127.0.0.1\\n$PORT\\npw\\npw\\nno\\nyes\\n' | lxd init");
    alike("printf 'no\\nno\\nno\\nno\\nno\\nyes\\n127.0.0.1\\nhigh\\nlow\\n' | lxd init");
    alike("printf 'no\\nno\\nno\\n\\nyes\\neth0\\nno\\nyes\\n' | lxd init");
    alike('lxd init --dump');
    alike('lxd init </dev/null');
  });

  it('version, waitready, sql', () => {
    alike('lxd version; lxd --version; lxd version --client');
    alike('lxd waitready; lxd waitready --timeout=5; lxd waitready --timeout=x; LXD_DIR=/nonexistent lxd waitready --timeout=1');
    for (const query of ['"SELECT name FROM profiles ORDER BY name"', '"SELECT 1 AS one, NULL AS nothing, \'text\' AS word, 1.5 AS half"', '"SELECT name FROM profiles WHERE name=\'none\'"', '"nonsense"',
      '"UPDATE profiles SET description=\'x\' WHERE name=\'small\'"', '"SELECT 1; SELECT 2 AS two"', '"DELETE FROM profiles WHERE id=999; SELECT 3 AS three"']) {
      alike(`lxd sql global ${query}`);
    }
    alike('echo "SELECT 5 AS five" | lxd sql global -');
    alike('lxd sql local "SELECT 1 AS one"');
  });

  it('nonsense', () => { alike('lxd nonsense; lxd waitready --nonsense; lxd shutdown --timeout=x'); });

  it('shutdown, and what needs no daemon', async () => {
    alike('lxd shutdown; echo $?; lxd shutdown --timeout=2; echo $?; lxd waitready --timeout=1; echo $?');
    alike('lxd init --dump');
    for (const target of [roost, lxd]) { await target.stop(); await target.start(); }
    expect(alike('lxd init --dump')).toContain('user.note');
  });
});
