import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../support/pair.js';
import { needsRoot, unmet } from '../support/needs.js';
import { Target, type CommandResult } from '../support/target.js';

const top = resolve(import.meta.dirname, '../..');
const instances = 20;
/** Of this run alone: links are shared by the whole machine. */
const bridge = `ap-${process.pid.toString(36)}`;

/** A directory that describes pools, networks, profiles, projects and twenty instances. */
describe.skipIf(unmet('roost apply', needsRoot))('roost apply', () => {
  const target = new Target('roost');
  const site = join(target.root, 'site');
  const roost = (words: string): CommandResult => target.run(`${top}/deploy/bin/roost ${words}`);
  const apply = (more = ''): CommandResult => roost(`apply -f ${site} ${more}`);

  beforeAll(async () => {
    await target.start();
    must(target, 'lxc storage create default dir');
    must(target, 'lxc profile device add default root disk path=/ pool=default');
    must(target, `${top}/deploy/busybox-image >bb.tar.gz && lxc image import bb.tar.gz --alias bb`);
    mkdirSync(join(site, 'instances'), { recursive: true });
    writeFileSync(join(site, '10-ground.yaml'), `
kind: instance
name: first
image: bb
profiles: [small]
config: {user.order: "it needs all that follows"}
---
kind: profile
name: small
config: {limits.memory: 64MiB}
devices:
  root: {type: disk, path: /, pool: fast}
  eth0: {type: nic, network: ${bridge}}
---
kind: network
name: ${bridge}
config: {ipv4.address: 10.98.79.1/24, ipv6.address: none}
---
kind: pool
name: fast
driver: dir
description: For all
---
kind: volume
name: data
pool: fast
---
kind: project
name: web
description: Somebody's
config: {features.profiles: false, features.images: false, features.networks: false, features.storage.volumes: false}
`);
    for (let n = 1; n < instances; n++) {
      writeFileSync(join(site, 'instances', `i${n}.yaml`), `kind: instance\nname: i${n}\nproject: ${n % 4 === 0 ? 'web' : 'default'}\nimage: bb\nprofiles: [small]\nstate: stopped\nconfig: {user.number: ${n}}\n`);
    }
  });
  afterAll(async () => {
    roost('apply -f /dev/null --name site --prune');
    await target.destroy();
    spawnSync('ip', ['link', 'delete', bridge], { stdio: 'ignore' });
  });

  it('says what it would do, and does nothing', () => {
    const result = apply('--dry-run');
    expect(result.stderr).toBe('');
    expect(result.stdout).toContain(`+ project web\n+ pool fast\n+ network ${bridge}\n+ profile small\n+ volume fast/data\n+ instance first\n`);
    expect(result.stdout).toContain(`${instances + 5} would be made, 0 would be changed`);
    expect(must(target, 'lxc list -f csv --all-projects')).toBe('');
  });

  it('ends the same when it is killed half way and run again', async () => {
    const child = spawn(`${top}/deploy/bin/roost`, ['apply', '-f', site], { env: target.env, stdio: ['ignore', 'pipe', 'ignore'] });
    const gone = new Promise((done) => child.once('exit', done));
    let text = '';
    for await (const data of child.stdout as AsyncIterable<Buffer>) {
      text += data.toString('utf8');
      if (/instance i\d/.test(text)) {
        child.kill('SIGKILL');
        break;
      }
    }
    await gone;
    const again = apply();
    expect(again.stderr).toBe('');
    expect(again.code).toBe(0);
    expect(apply().stdout).toBe(`Nothing to do: ${instances + 5} objects are as described\n`);
    expect(must(target, 'lxc list -f csv -c n --all-projects').trim().split('\n')).toHaveLength(instances);
    expect(must(target, 'lxc list first -f csv -c s').trim()).toBe('RUNNING');
  });

  it('reports what was changed by hand, and mends it', () => {
    must(target, `lxc config set i1 user.number 77; lxc config set i2 limits.memory 1GiB; lxc stop -f first; lxc network set ${bridge} ipv4.nat=true; lxc profile set small limits.memory 32MiB`);
    const result = apply();
    expect(result.stdout).toContain('~ profile small (drift: changed since it was applied)\n    config limits.memory: 32MiB -> 64MiB\n');
    expect(result.stdout).toContain('~ instance i1 (drift: changed since it was applied)\n    config user.number: 77 -> 1\n');
    expect(result.stdout).toContain('~ instance i2 (drift: changed since it was applied)\n    config limits.memory: 1GiB -> none\n');
    expect(result.stdout).toContain('~ instance first (drift: changed since it was applied)\n    state: stopped -> running\n');
    expect(apply().stdout).toContain('Nothing to do');
  });

  it('tells a change of the description from drift, and prunes what is described no more', () => {
    writeFileSync(join(site, 'instances', 'i1.yaml'), 'kind: instance\nname: i1\nimage: bb\nprofiles: [small]\nstate: stopped\nconfig: {user.number: 1, user.new: x}\n');
    writeFileSync(join(site, 'instances', 'i19.yaml'), '');
    const result = apply('--prune');
    expect(result.stdout).toContain('~ instance i1\n    config user.new: none -> x\n');
    expect(result.stdout).toContain('- instance i19\n');
    expect(must(target, 'lxc list i19 -f csv')).toBe('');
    expect(apply('--prune').stdout).toContain('Nothing to do');
  });

  it('remembers a description that changed to what somebody had made of the object already', () => {
    must(target, 'lxc config set i2 user.more 1');
    writeFileSync(join(site, 'instances', 'i2.yaml'), 'kind: instance\nname: i2\nimage: bb\nprofiles: [small]\nstate: stopped\nconfig: {user.number: 2, user.more: 1}\n');
    expect(apply().stdout).toContain('Nothing to do');
    must(target, 'lxc config set i2 user.more 2');
    expect(apply().stdout).toContain('~ instance i2 (drift: changed since it was applied)\n    config user.more: 2 -> 1\n');
  });

  it.each([
    ['kind: nothing\nname: x\n', 'kind "nothing" is none of'], ['kind: pool\nname: x\n', 'needs a driver'], ['kind: instance\nimage: bb\n', 'a instance needs a name'], ['kind: profile\nname: x\nimage: bb\n', 'has no "image"'], ['kind: [', 'Flow sequence'],
  ])('names the place of a mistake: %j', (text, complaint) => {
    writeFileSync(join(target.root, 'wrong.yaml'), text);
    const result = roost('apply -f wrong.yaml');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(complaint);
  });
});
