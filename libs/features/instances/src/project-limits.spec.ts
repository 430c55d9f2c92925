import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstancesPost } from '#api-types';
import { ProfilesService } from '#features/profiles';
import { ProjectLimits, ProjectRefusal, ProjectsService } from '#features/projects';
import { InstanceCatalog } from './data/instance.catalog.js';
import { InstanceCreation } from './instance-creation.service.js';
import { InstanceRemoval } from './instance-removal.service.js';
import { InstanceUpdate } from './instance-update.service.js';
import { MoveRequests } from './moves/move-requests.service.js';
import { SnapshotRequests } from './snapshots/snapshot-requests.service.js';
import { FakeMember, settled } from './testing/fake-member.js';

let member: FakeMember;
beforeAll(async () => {
  member = await FakeMember.start();
  await member.get(ProjectsService).create(member.ctx(), { name: 'p', config: { 'features.images': 'false', 'features.profiles': 'true' } });
  const root = { root: { type: 'disk', path: '/', pool: 'default' } };
  await member.get(ProfilesService).update(member.ctx('p'), 'default', { devices: root }, { patch: true, ifMatch: undefined });
});
afterAll(() => member.close());

const features = { 'features.images': 'false', 'features.profiles': 'true', 'features.storage.volumes': 'true' };
const setProject = (config: Record<string, string>) => member.get(ProjectsService).update(member.ctx(), 'p', { config: { ...features, ...config } }, { patch: false, ifMatch: undefined });
const create = async (name: string, body: InstancesPost = {}) => settled(await member.get(InstanceCreation).create(member.ctx('p'), { name, source: { type: 'none' }, ...body }, null, null));
const setConfig = (name: string, config: Record<string, string>) => member.get(InstanceUpdate).merge(member.ctx('p'), { project: 'p', name, body: { config }, ifMatch: undefined, merge: true });
const setDevice = (name: string, device: Record<string, string>) => member.get(InstanceUpdate).merge(member.ctx('p'), { project: 'p', name, body: { devices: { d: device } }, ifMatch: undefined, merge: true });
const setProfile = (config: Record<string, string>) => member.get(ProfilesService).update(member.ctx('p'), 'default', { config }, { patch: true, ifMatch: undefined });
const find = (name: string, project = 'p') => member.get(InstanceCatalog).get(project, name);
const counted = () => member.get(InstanceCatalog).ofProject('p').length;

describe('what a project forbids', () => {
  it('is said before what else is wrong, of instances and of profiles', async () => {
    await create('c1');
    await setProject({ restricted: 'true' });
    const forbidden = 'Failed checking if instance update allowed: Invalid device "d" on container "c1" of project "p": GPU devices are forbidden';
    await expect(setDevice('c1', { type: 'gpu', nonsense: '1' })).rejects.toThrow(forbidden);
    await expect(setConfig('c1', { 'security.nesting': 'true', nonsense: '1' })).rejects.toThrow('Container nesting is forbidden');
    for (const name of ['c1', 'c2']) await expect(create(name, { config: { 'security.nesting': 'true', nonsense: '1' } })).rejects.toThrow(`on container "${name}" of project "p": Container nesting is forbidden`);
    await expect(setProfile({ 'security.nesting': 'true', nonsense: '1' })).rejects.toThrow('on container "c1" of project "p": Container nesting is forbidden');
    await settled(await member.get(InstanceRemoval).schedule(member.ctx('p'), 'p', 'c1'));
    await expect(setProfile({ 'security.nesting': 'true' })).rejects.toThrow('Invalid value "true" for config "security.nesting" on  "default" of project "p"');
    await expect(setProfile({ 'raw.lxc': 'x' })).rejects.toThrow('Use of low-level config "raw.lxc" on profile "default" of project "p" is forbidden');
    await setProject({});
  });

  it('is where its instances may be put, to all but administrators', async () => {
    const limits = member.get(ProjectLimits);
    const restricted = { ...member.ctx('p'), allowedProjects: ['p'] };
    await setProject({ restricted: 'true' });
    expect(() => limits.assertMayTarget(restricted, 'm2')).toThrow("This project doesn't allow cluster member targeting");
    expect(() => limits.assertMayTarget(restricted, '@gpus')).not.toThrow();
    expect(() => limits.assertMayTarget(member.ctx('p'), 'm2')).not.toThrow();
    await setProject({ restricted: 'true', 'restricted.cluster.target': 'allow', 'restricted.cluster.groups': 'cheap, old' });
    expect(() => limits.assertMayTarget(restricted, 'm2')).not.toThrow();
    expect(() => limits.assertMayTarget(restricted, '@gpus')).toThrow("Project isn't allowed to use this cluster group");
    expect(() => limits.assertMayTarget(restricted, '@old')).not.toThrow();
    await setProject({});
  });

  it('looks for networks where the project has them', async () => {
    await create('n1');
    await expect(setDevice('n1', { type: 'nic', network: 'nope' })).rejects.toThrow('Failed to load network "nope" for project "default": Network not found');
    await settled(await member.get(InstanceRemoval).schedule(member.ctx('p'), 'p', 'n1'));
  });
});

describe('a project’s limits', () => {
  beforeAll(() => create('c1'));

  it('hold the number of instances, also of one type, and are refused where it is passed already', async () => {
    for (const key of ['limits.instances', 'limits.containers']) {
      await setProject({ [key]: '1' });
      await expect(create('c2')).rejects.toThrow(key === 'limits.instances' ? 'Reached maximum number of instances in project "p"' : 'Reached maximum number of instances of type "container" in project "p"');
      await expect(create('c2')).rejects.toBeInstanceOf(ProjectRefusal);
      await expect(setProject({ [key]: '0' })).rejects.toThrow(`"${key}" is too low: there currently are 1`);
    }
    expect(counted()).toBe(1);
  });

  it('hold when two are made at once', async () => {
    await setProject({ 'limits.instances': '2' });

    const results = await Promise.allSettled(['a', 'b', 'c'].map((name) => create(name)));

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(counted()).toBe(2);
    await setProject({});
    const [extra] = member.get(InstanceCatalog).ofProject('p').filter(({ row }) => row.name !== 'c1');
    await settled(await member.get(MoveRequests).withinMember(member.ctx('p'), extra!, { migration: true, project: 'default' }));
  });

  it.each([
    ['limits.cpu', '2', '3', '0-1', 'Reached maximum aggregate value "2" for "limits.cpu" in project "p"', '"limits.cpu" is too low: current total is "2"', '1'],
    ['limits.memory', '1GiB', '2GiB', '50%', 'Reached maximum aggregate value "1GiB" for "limits.memory" in project "p"', '"limits.memory" is too low: current total is "1.0GiB"', '512MiB'],
    ['limits.processes', '10', '11', '', 'Reached maximum aggregate value "10" for "limits.processes" in project "p"', '"limits.processes" is too low: current total is "10"', '9'],
  ])('hold what all instances take of %s together', async (key, limit, more, vague, reached, low, less) => {
    await expect(setProject({ [key]: limit })).rejects.toThrow(`Instance "c1" in project "p" has no "${key}" config, either directly or via a profile`);
    await setConfig('c1', { [key]: limit });
    await setProject({ [key]: limit });

    await expect(setConfig('c1', { [key]: more })).rejects.toThrow(`Failed checking if instance update allowed: ${reached}`);
    if (vague !== '') await expect(setConfig('c1', { [key]: vague })).rejects.toThrow(`Failed checking if instance update allowed: Failed getting usage of project entities: Failed parsing "${key}" for instance "c1" in project "p"`);
    await expect(setConfig('c1', { [key]: '' })).rejects.toThrow('has no');
    await expect(create('c2')).rejects.toThrow(`Failed checking if instance creation allowed: Failed getting usage of project entities: Instance "c2" in project "p" has no "${key}" config`);
    await expect(create('c2', { config: { [key]: less } })).rejects.toThrow(`Failed checking if instance creation allowed: ${reached}`);
    await expect(setProject({ [key]: less })).rejects.toThrow(low);
    expect(find('c1').row.config[key]).toBe(limit);
    await setProject({});
    await setConfig('c1', { [key]: '' });
  });

  it('hold a profile that would let its instances pass them', async () => {
    await setProfile({ 'limits.memory': '1GiB' });
    await setProject({ 'limits.memory': '1GiB' });

    await expect(setProfile({ 'limits.memory': '2GiB' })).rejects.toThrow('Failed checking if profile update allowed: Reached maximum aggregate value "1GiB" for "limits.memory" in project "p"');
    await setProject({});
    await setProfile({ 'limits.memory': '' });
  });

  it('hold the disks', async () => {
    await expect(setProject({ 'limits.disk': '1GiB' })).rejects.toThrow('Instance "c1" in project "p" has no "size" config set on the root device either directly or via a profile');
    await member.get(InstanceUpdate).merge(member.ctx('p'), { project: 'p', name: 'c1', body: { devices: { root: { type: 'disk', path: '/', pool: 'default', size: '500MiB' } } }, ifMatch: undefined, merge: true });
    await setProject({ 'limits.disk': '1GiB' });

    await expect(create('c2', { devices: { root: { type: 'disk', path: '/', pool: 'default', size: '600MiB' } } })).rejects.toThrow('Reached maximum aggregate value "1GiB" for "limits.disk"');
    await setProject({});
  });

  it('hold what comes from another project', async () => {
    await member.create('other');
    await setProject({ 'limits.instances': '1' });

    const move = await member.get(MoveRequests).withinMember(member.ctx(), find('other', 'default'), { migration: true, project: 'p' });

    await expect(settled(move)).rejects.toThrow('Reached maximum number of instances in project "p"');
    expect(find('other', 'default').row.project).toBe('default');
    await setProject({});
  });
});

describe('a restricted project', () => {
  beforeAll(() => setProject({ restricted: 'true' }));

  it.each([
    ['security.privileged', 'true', 'Invalid value "true" for config "security.privileged" on container "c1" of project "p": Privileged containers are forbidden'],
    ['security.nesting', 'true', 'Invalid value "true" for config "security.nesting" on container "c1" of project "p": Container nesting is forbidden'],
    ['raw.lxc', 'lxc.foo = 1', 'Use of low-level config "raw.lxc" on container "c1" of project "p" is forbidden'],
    ['raw.idmap', 'both 1000 1000', 'Use of low-level "raw.idmap" element 0 on container "c1" of project "p" is forbidden'],
    ['security.syscalls.intercept.mount', 'true', 'Invalid value "true" for config "security.syscalls.intercept.mount" on container "c1" of project "p": Container syscall interception is forbidden'],
    ['security.syscalls.intercept.mount.shift', 'true', 'Use of low-level config "security.syscalls.intercept.mount.shift" on container "c1" of project "p" is forbidden'],
  ])('has no %s', async (key, value, message) => {
    await expect(setConfig('c1', { [key]: value })).rejects.toThrow(`Failed checking if instance update allowed: ${message}`);
    await expect(create('c2', { config: { [key]: value } })).rejects.toThrow(`Failed checking if instance creation allowed: ${message.replace('"c1"', '"c2"')}`);
    await expect(setProfile({ [key]: value })).rejects.toThrow(`Failed checking if profile update allowed: ${message}`);
    expect([counted(), find('c1').expandedConfig[key]]).toEqual([1, undefined]);
  });

  it('keeps its users from forging what is not theirs', async () => {
    await expect(setConfig('c1', { 'volatile.uuid': crypto.randomUUID() })).rejects.toThrow('Changing "volatile.uuid" on container "c1" in project "p" is forbidden');
    await expect(setConfig('c1', { 'volatile.foo': 'x' })).rejects.toThrow('Setting "volatile.foo" on container "c1" in project "p" is forbidden');
    await setConfig('c1', { 'user.x': '1', 'volatile.eth0.hwaddr': '00:16:3e:00:00:01' });
  });

  it.each([
    [{ type: 'disk', source: '/tmp', path: '/x' }, 'Attaching disks not backed by a pool is forbidden'], [{ type: 'nic', nictype: 'p2p' }, 'Only managed network devices are allowed'],
    [{ type: 'unix-char', source: '/dev/null', path: '/dev/x' }, 'Unix character devices are forbidden'],
  ])('has no device %j', async (device, message) => {
    await expect(setDevice('c1', device)).rejects.toThrow(`Failed checking if instance update allowed: Invalid device "d" on container "c1" of project "p": ${message}`);
  });

  it('has neither snapshots nor backups unless it may', async () => {
    await expect(member.get(SnapshotRequests).create(member.ctx('p'), find('c1'), { name: 's' })).rejects.toThrow('Project "p" doesn\'t allow for snapshot creation');
    expect(() => member.get(ProjectLimits).assertMayKeep('p', 'backup')).toThrow('Project "p" doesn\'t allow for backup creation');
    await setProject({ restricted: 'true', 'restricted.snapshots': 'allow', 'restricted.backups': 'allow' });
    await settled(await member.get(SnapshotRequests).create(member.ctx('p'), find('c1'), { name: 's' }));
    member.get(ProjectLimits).assertMayKeep('p', 'backup');
  });

  it('names no member, but for administrators', () => {
    const limits = member.get(ProjectLimits);
    const user = { ...member.ctx('p'), allowedProjects: ['p'] };
    expect(() => limits.assertMayTarget(user, 'm1')).toThrow("This project doesn't allow cluster member targeting");
    limits.assertMayTarget(user, '');
    limits.assertMayTarget(user, '@group');
    limits.assertMayTarget(member.ctx('p'), 'm1');
  });

  it('may be allowed one by one, as long as what is there stays allowed', async () => {
    const allowed = { restricted: 'true', 'restricted.containers.privilege': 'allow', 'restricted.containers.nesting': 'allow', 'restricted.containers.lowlevel': 'block', 'restricted.idmap.uid': '1000-1010', 'restricted.idmap.gid': '1000', 'restricted.devices.disk': 'allow', 'restricted.devices.disk.paths': '/tmp/a,/opt' };
    await setProject(allowed);
    await setConfig('c1', { 'security.nesting': 'true', 'raw.idmap': 'both 1000 1000\nuid 1005-1006 5-6' });
    await expect(setConfig('c1', { 'raw.idmap': 'both 1000 1000\nboth 1005-1006 5-6' })).rejects.toThrow('Use of low-level "raw.idmap" element 1');
    await expect(setDevice('c1', { type: 'disk', source: '/tmp', path: '/x' })).rejects.toThrow('Disk source path "/tmp" not allowed');
    await expect(setDevice('c1', { type: 'disk', source: '/tmp/a/../b', path: '/x' })).rejects.toThrow('not allowed');
    await expect(setDevice('c1', { type: 'disk', source: '/tmp/a#/../../etc', path: '/x' })).rejects.toThrow('not allowed');

    await expect(setProject({ ...allowed, 'restricted.containers.nesting': 'block' })).rejects.toThrow('Conflict detected when changing "restricted.containers.nesting" in project "p": Invalid value "true" for config "security.nesting"');
  });
});
