import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Member } from '../support/member.js';
import { must } from '../support/pair.js';

/** Ansible's modules, inventory and connection for LXD, unchanged. It is a quarter of a gigabyte, so `./test/run ansible` installs it; without it nothing is run here. */
const member = new Member();

describe.skipIf(!existsSync('/usr/bin/ansible-playbook'))('Ansible', () => {
  beforeAll(async () => {
    await member.startWith({ bridge: 'anbr-r' });
    writeFileSync(join(member.root, 'play.yml'), `
- hosts: localhost
  connection: local
  gather_facts: false
  vars: { url: "unix:${member.dir}/unix.socket" }
  tasks:
    - community.general.lxd_project:
        url: "{{ url }}"
        name: ap1
        description: made by a play
        config: { features.images: "false", features.profiles: "false", features.storage.volumes: "true" }
    - community.general.lxd_profile:
        url: "{{ url }}"
        name: apr
        description: a profile
        config: { user.from: play }
        devices: { none0: { type: none } }
    - community.general.lxd_container:
        url: "{{ url }}"
        name: ac1
        state: "{{ wanted }}"
        source: { type: image, alias: bb }
        profiles: [default, apr]
        config: { user.mark: "{{ mark }}" }
        wait_for_ipv4_addresses: "{{ wanted == 'started' }}"
`);
    writeFileSync(join(member.root, 'inventory.lxd.yml'), `
plugin: community.general.lxd
url: unix:${member.dir}/unix.socket
state: RUNNING
groupby: { marked: { type: profile, attribute: apr } }
`);
  }, 120_000);
  afterAll(async () => expect(await member.destroy()).toEqual([]));

  const play = (wanted = 'started', mark = 'one'): string => /changed=\d+.*failed=\d+/.exec(must(member, `ansible-playbook -i localhost, play.yml -e wanted=${wanted} -e mark=${mark}`))![0].replace(/ +/g, ' ');

  it('makes a project, a profile and a container, and nothing the second time', () => {
    expect(play()).toMatch(/^changed=3 .*failed=0/);
    expect(member.instances()).toContainEqual({ name: 'ac1', status: 'Running' });
    expect(play()).toMatch(/^changed=0 .*failed=0/);
  });

  it('changes what differs, restarts, stops and removes', () => {
    expect(play('started', 'two')).toMatch(/^changed=1 /);
    expect(must(member, 'lxc config get ac1 user.mark').trim()).toBe('two');
    expect(play('started', 'two')).toMatch(/^changed=0 /);
    expect(play('stopped', 'two')).toMatch(/^changed=1 /);
    expect(play('stopped', 'two')).toMatch(/^changed=0 /);
    expect(play('started', 'two')).toMatch(/^changed=1 /);
    expect(play('frozen', 'two')).toMatch(/^changed=1 /);
    expect(play('started', 'two')).toMatch(/^changed=1 /);
  });

  it('finds containers by its inventory and enters them by its connection', () => {
    const graph = must(member, 'ansible-inventory -i inventory.lxd.yml --graph');
    expect(graph).toMatch(/@marked:\n.*ac1/);
    expect(must(member, "ansible -i ac1, all -c community.general.lxd -m raw -a 'hostname; id -u'")).toContain('ac1\n0\n');
    expect(play('absent', 'two')).toMatch(/^changed=1 /);
    expect(member.instances()).toEqual([]);
  });
});
