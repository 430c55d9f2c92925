import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Member } from '../support/member.js';
import { must } from '../support/pair.js';

/** Tools written for LXD, unchanged. */
const member = new Member();

beforeAll(() => member.startWith({ driver: 'btrfs', bridge: 'tlbr-r' }));
afterAll(async () => expect(await member.destroy()).toEqual([]));

it('serves lxd-benchmark with 20 containers', () => {
  expect(must(member, 'lxd-benchmark launch --count 20 --parallel 4 bb')).toContain('Batch processing completed');
  expect(member.instances().filter(({ status }) => status === 'Running')).toHaveLength(20);
  expect(must(member, 'lxd-benchmark stop --parallel 4')).toContain('Batch processing completed');
  expect(must(member, 'lxd-benchmark start --parallel 4')).toContain('Batch processing completed');
  expect(must(member, 'lxd-benchmark delete --parallel 4')).toContain('Batch processing completed');

  expect(member.instances()).toEqual([]);
  expect(member.remains()).toEqual([]);
});

it('serves pylxd: create, start, exec, stop, delete', () => {
  const script = join(member.root, 'life.py');
  writeFileSync(script, `
import pylxd
client = pylxd.Client()
instance = client.containers.create({'name': 'py1', 'source': {'type': 'image', 'alias': 'bb'}}, wait=True)
instance.start(wait=True)
instance.sync()
assert instance.status == 'Running', instance.status
result = instance.execute(['sh', '-c', 'echo out; echo err >&2; exit 4'])
assert (result.exit_code, result.stdout, result.stderr) == (4, 'out\\n', 'err\\n'), result
assert instance.state().network['eth0']['hwaddr'].startswith('00:16:3e')
instance.stop(force=True, wait=True)
instance.delete(wait=True)
assert not client.containers.exists('py1')
assert client.profiles.get('default').devices['root']['pool'] == 'default'
print('pylxd done')
`);

  expect(must(member, `/usr/bin/python3 ${script}`)).toContain('pylxd done');
});

it("serves pylxd's wider API: snapshots, files, images, profiles, pools, volumes, networks, projects, operations", () => {
  const script = join(member.root, 'wide.py');
  writeFileSync(script, `
import pylxd
client = pylxd.Client()
assert client.has_api_extension('instances')
client.profiles.create('pp', config={'user.mark': 'p'}, devices={})
profile = client.profiles.get('pp')
profile.description = 'changed'
profile.save(wait=True)
assert client.profiles.get('pp').description == 'changed'
instance = client.containers.create({'name': 'py2', 'source': {'type': 'image', 'alias': 'bb'}, 'profiles': ['default', 'pp']}, wait=True)
instance.start(wait=True)
instance.files.put('/root/greeting', b'hello', mode='0640', uid=0, gid=0)
assert instance.files.get('/root/greeting') == b'hello'
import os
os.makedirs('${member.root}/pylxd-tree/inner', exist_ok=True)
open('${member.root}/pylxd-tree/inner/file', 'w').write('deep')
instance.files.recursive_put('${member.root}/pylxd-tree', '/root/dir', mode='0750')
assert instance.files.get('/root/dir/inner/file') == b'deep'
assert 'dir' in instance.execute(['ls', '/root']).stdout
assert instance.files.delete_available()
instance.files.delete('/root/greeting')
assert instance.execute(['cat', '/root/greeting']).exit_code == 1
snapshot = instance.snapshots.create('s0', wait=True) or instance.snapshots.get('s0')
assert [s.name for s in instance.snapshots.all()] == ['s0']
instance.execute(['touch', '/root/later'])
instance.stop(force=True, wait=True)
instance.restore_snapshot('s0', wait=True)
instance.start(wait=True)
assert instance.execute(['ls', '/root/later']).exit_code == 1
instance.freeze(wait=True)
instance.unfreeze(wait=True)
instance.config['user.later'] = 'yes'
instance.save(wait=True)
assert client.containers.get('py2').config['user.later'] == 'yes'
instance.stop(force=True, wait=True)
instance.snapshots.get('s0').rename('s1', wait=True)
instance.snapshots.get('s1').delete(wait=True)
instance.rename('py3', wait=True)
image = client.containers.get('py3').publish(wait=True)
image.add_alias('from-py', 'made by pylxd')
assert client.images.get_by_alias('from-py').fingerprint == image.fingerprint
assert len(image.export().read()) > 1000
image.delete(wait=True)
client.containers.get('py3').delete(wait=True)
profile.delete()
pool = client.storage_pools.get('default')
assert pool.resources.get().space['total'] > 0
volume = pool.volumes.create({'name': 'vol', 'type': 'custom', 'config': {}}, wait=True)
assert 'vol' in [v.name for v in pool.volumes.all()]
pool.volumes.get('custom', 'vol').delete()
network = client.networks.create('pybr-r', config={'ipv4.address': '10.98.79.1/24', 'ipv6.address': 'none'})
assert client.networks.get('pybr-r').managed
client.networks.get('pybr-r').delete(wait=True)
client.api.projects.post(json={'name': 'pyproj', 'description': 'by pylxd', 'config': {'features.images': 'false'}})
assert client.api.projects['pyproj'].get().json()['metadata']['description'] == 'by pylxd'
client.api.projects['pyproj'].delete()
assert client.api.resources.get().json()['metadata']['cpu']['total'] > 0
print('wide done')
`);

  expect(must(member, `/usr/bin/python3 ${script}`)).toContain('wide done');
});

it('is added as a remote over HTTPS, by password and by token', () => {
  must(member, 'lxc config set core.https_address 127.0.88.1:8443');
  must(member, 'lxc config set core.trust_password sesame');
  const other = { LXD_CONF: join(member.root, 'other-conf') };
  const third = { LXD_CONF: join(member.root, 'third-conf') };

  expect(member.run('lxc remote add r1 127.0.88.1 --accept-certificate --password wrong', other).code).not.toBe(0);
  expect(member.run('lxc remote add r1 127.0.88.1 --accept-certificate --password sesame', other)).toMatchObject({ code: 0 });
  expect(member.run('lxc query r1:/1.0/profiles', other).stdout).toContain('/1.0/profiles/default');

  const token = must(member, 'lxc config trust add --name third -q').trim().split('\n').at(-1)!;
  expect(member.run(`lxc remote add r2 ${token}`, third)).toMatchObject({ code: 0 });
  expect(member.run('lxc launch r2:bb r2:over-tls && lxc exec r2:over-tls -- hostname && lxc delete -f r2:over-tls', third)).toMatchObject({ code: 0 });
  expect(member.run(`lxc remote add r3 ${token}`, other).code).not.toBe(0);

  expect(must(member, 'lxc config trust list --format csv')).toContain('third');
  must(member, 'lxc config unset core.https_address');
});
