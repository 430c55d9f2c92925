import { afterAll, beforeAll } from 'vitest';
import { instanceMasks, lines } from '../support/lines.js';
import { must, Pair } from '../support/pair.js';

/** What projects allow is the same on Roost and on real LXD, and refused in the same words. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc project create q1 -c features.images=false -c features.profiles=true');
    must(target, 'lxc profile device add default root disk path=/ pool=default --project q1');
  }
});
afterAll(() => pair.destroy());

/** Whatever else is wrong with it: what a project forbids is said first. */
lines(pair, 'restrictions come first', `
  lxc project create qr -c features.images=false
  lxc profile device add default root disk path=/ pool=default --project qr
  lxc init --empty z1 -q --project qr
  lxc project set qr restricted=true
  lxc init --empty z2 -q --project qr -c security.nesting=true -c nonsense=1
  lxc init --empty z1 -q --project qr -c security.nesting=true
  lxc init bb z2 -q --project qr -c security.privileged=true -c limits.memory=foo
  for d in '"type":"gpu","nonsense":"1"' '"type":"disk","source":"/nowhere"' '"type":"unix-char"' '"type":"nic","nictype":"foo"' '"type":"proxy"' '"type":"usb","mode":"x"' '"type":"foo"' '"type":"nic","network":"nope"'; do lxc query -X PATCH -d '{"devices":{"d":{'"$d"'}}}' '/1.0/instances/z1?project=qr'; lxc query -X PUT -d '{"profiles":["default"],"devices":{"d":{'"$d"'}}}' '/1.0/instances/z1?project=qr'; lxc query -X POST -d '{"name":"z2","source":{"type":"none"},"devices":{"d":{'"$d"'}}}' '/1.0/instances?project=qr'; lxc query -X PATCH -d '{"devices":{"d":{'"$d"'},"root":{"type":"disk","path":"/","pool":"default"}}}' '/1.0/profiles/default?project=qr'; done >/dev/null
  lxc query -X PATCH -d '{"config":{"security.nesting":"true","limits.memory":"foo"}}' '/1.0/instances/z1?project=qr'
  lxc query -X PATCH -d '{"config":{"raw.lxc":"x","limits.memory":"foo"}}' '/1.0/instances/z1?project=qr'
  lxc query -X PATCH -d '{"config":{"raw.idmap":"both 0 0","limits.cpu":"x"}}' '/1.0/instances/z1?project=qr'
  lxc delete z1 --project qr
  lxc profile set default security.nesting=true --project qr
  lxc profile set default raw.lxc=x --project qr
  lxc profile set default raw.idmap='both 0 0' --project qr
  lxc profile device add default g gpu --project qr
  lxc project set qr limits.memory=1GiB
  lxc init --empty z2 -q --project qr -c limits.memory=foo
  lxc init --empty z2 -q --project qr -c limits.memory=2GiB -c nonsense=1
  lxc init --empty z2 -q --project qr -c limits.memory=1MiB -c nonsense=1
  lxc project delete qr
`, instanceMasks);

lines(pair, 'limits', `
  lxc project set q1 limits.instances=x
  lxc project set q1 limits.memory=foo
  lxc project set q1 limits.memory=10%
  lxc project set q1 limits.instances=1
  lxc init bb a1 -q --project q1
  lxc init bb a2 -q --project q1
  lxc project set q1 limits.instances=0
  lxc project set q1 limits.instances=3
  lxc project set q1 limits.containers=1
  lxc init bb a2 -q --project q1
  lxc copy a1 a3 --project q1
  lxc project set q1 limits.containers=0
  lxc project unset q1 limits.containers
  lxc project set q1 limits.cpu=2
  lxc config set a1 limits.cpu=2 --project q1
  lxc project set q1 limits.cpu=2
  lxc project set q1 limits.cpu=1
  lxc init bb a2 -q --project q1
  lxc init bb a2 -q --project q1 -c limits.cpu=1
  lxc init bb a2 -q --project q1 -c limits.cpu=0-1
  lxc config set a1 limits.cpu=3 --project q1
  lxc config set a1 limits.cpu=1-2 --project q1
  lxc config unset a1 limits.cpu --project q1
  lxc query -X PATCH -d '{"config":{"limits.cpu":"3"}}' '/1.0/instances/a1?project=q1'
  lxc project unset q1 limits.cpu
  lxc project set q1 limits.memory=1GiB
  lxc config set a1 limits.memory=50% --project q1
  lxc project set q1 limits.memory=1GiB
  lxc config set a1 limits.memory=512MiB --project q1
  lxc project set q1 limits.memory=1GiB
  lxc config set a1 limits.memory=2GiB --project q1
  lxc config set a1 limits.memory=10% --project q1
  lxc project set q1 limits.memory=100MiB
  lxc project unset q1 limits.memory
  lxc project set q1 limits.processes=10
  lxc config set a1 limits.processes=5 --project q1
  lxc project set q1 limits.processes=10
  lxc config set a1 limits.processes=11 --project q1
  lxc project unset q1 limits.processes
  lxc project set q1 limits.disk=1GiB
  lxc config device override a1 root size=500MiB --project q1
  lxc project set q1 limits.disk=1GiB
  lxc storage volume create default v1 --project q1
  lxc storage volume create default v1 size=100MiB --project q1
  lxc storage volume create default v2 size=600MiB --project q1
  lxc storage volume set default v1 size=700MiB --project q1
  lxc config device set a1 root size=2GiB --project q1
  lxc init bb a5 -q --project q1
  lxc init bb a5 -q --project q1 -d root,size=1GiB
  lxc project set q1 limits.disk=100MiB
  lxc project info q1
  lxc query /1.0/projects/q1/state
  lxc storage volume delete default v1 --project q1
  lxc list -f csv -c n --all-projects
  lxc delete a1 --project q1
  lxc project unset q1 limits.disk
  lxc project unset q1 limits.instances
`, instanceMasks);

const keys = [
  'boot.host_shutdown_timeout=1', 'linux.kernel_modules=x', 'raw.apparmor=x', 'raw.lxc="lxc.environment = A=b"', 'raw.idmap="both 1000 1000"', 'raw.seccomp=x', 'security.idmap.base=200000', 'security.idmap.size=65536', 'security.nesting=true',
  'security.privileged=true', 'security.privileged=false', 'security.idmap.isolated=true', 'user.x=1', 'environment.A=b', 'limits.kernel.nofile=3', 'volatile.uuid=11111111-1111-4111-8111-111111111111', 'volatile.evacuate.origin=x',
  'security.syscalls.intercept.mknod=true', 'security.syscalls.intercept.mount=true', 'security.syscalls.intercept.mount.shift=true', 'security.syscalls.intercept.setxattr=true', 'security.syscalls.intercept.mknod=false',
];
/** Every type a project may allow or forbid, of which none is asked of the host. */
const kinds = [
  'unix-char path=/dev/zero', 'unix-block path=/dev/loop0', 'unix-hotplug vendorid=fff0', 'usb vendorid=fff0', 'gpu id=5', 'infiniband nictype=physical parent=ib0',
  'proxy listen=tcp:127.0.0.1:34443 connect=tcp:127.0.0.1:80', 'nic nictype=p2p', 'disk source=/tmp path=/mnt',
];
const devices = [
  ...kinds.slice(2), 'gpu gputype=mig mig.gi=0 mig.ci=0', 'tpm path=/dev/tpm0 pathrm=/dev/tpmrm0', 'none', 'nic nictype=sriov parent=lo', 'nic nictype=macvlan parent=lo', 'disk source=ceph:a/b path=/mnt',
  'disk source=/tmp path=/x', 'unix-char source=/dev/null path=/dev/x', 'unix-block source=/dev/loop0 path=/dev/x', 'nic nictype=p2p name=eth0',
];

lines(pair, 'restrictions', `
  lxc init bb r1 -q --project q1
  lxc project set q1 restricted=true
  ${keys.map((key) => `lxc config set r1 ${key} --project q1`).join('\n  ')}
  ${devices.map((device, index) => `lxc config device add r1 d${index} ${device} --project q1`).join('\n  ')}
  lxc config device list r1 --project q1 | sort
  ${kinds.flatMap((device) => {
    const key = `restricted.devices.${device.split(' ')[0]}`;
    return [`lxc project set q1 ${key}=allow`, `lxc config device add r1 k ${device} --project q1`, `lxc project set q1 ${key}=block`, 'lxc config device remove r1 k --project q1', `lxc project unset q1 ${key}`];
  }).join('\n  ')}
  for k in unix-char unix-block unix-hotplug usb gpu infiniband pci proxy disk nic; do lxc project set q1 restricted.devices.$k=banana; done 2>&1
  lxc project create q9 -c features.profiles=false -c restricted=true
  lxc config show r1 --project q1
  lxc snapshot r1 --project q1
  lxc init bb r2 -q --project q1 -c security.privileged=true
  lxc launch bb r2 -q --project q1 -c security.nesting=true
  lxc profile set default security.privileged=true --project q1
  lxc profile device add default n0 nic nictype=p2p --project q1
  lxc profile create px --project q1
  lxc profile set px security.privileged=true --project q1
  lxc profile assign r1 default,px --project q1
  lxc project set q1 restricted.containers.privilege=foo
  lxc project set q1 restricted.containers.privilege=allow
  lxc config set r1 security.privileged=true --project q1
  lxc project unset q1 restricted.containers.privilege
  lxc config unset r1 security.privileged --project q1
  lxc config set r1 security.idmap.isolated=false --project q1
  lxc project set q1 restricted.containers.privilege=isolated
  lxc config unset r1 security.idmap.isolated --project q1
  lxc project set q1 restricted.containers.interception=allow
  lxc config set r1 security.syscalls.intercept.mknod=true --project q1
  lxc config unset r1 security.syscalls.intercept.mknod --project q1
  lxc project set q1 restricted.devices.disk=allow
  lxc config device add r1 d1 disk source=/tmp path=/x --project q1
  lxc project set q1 restricted.devices.disk.paths=/var
  lxc config device remove r1 d1 --project q1
  lxc project set q1 restricted.devices.disk.paths=/var
  lxc config device add r1 d1 disk source=/tmp path=/x --project q1
  lxc project set q1 restricted.devices.nic=allow
  lxc config device add r1 d1 nic nictype=p2p name=eth0 --project q1
  lxc project set q1 restricted.devices.nic=block
  lxc config device remove r1 d1 --project q1
  lxc project set q1 restricted.snapshots=allow
  lxc snapshot r1 s0 --project q1
  lxc restore r1 s0 --project q1
  lxc project show q1
  lxc delete r1 --project q1
  lxc project delete q1
`, instanceMasks);

/** Somebody who may put disks of one directory into containers puts links there. */
lines(pair, 'paths of disks', `
  mkdir -p ok/sub secret && echo hidden >secret/f && echo shown >ok/sub/f && ln -s "$PWD/secret" ok/out && ln -s sub ok/in && ln -s "$PWD/ok/sub" ok/absolute && ln -s ../secret ok/up
  ln secret/f ok/hard
  lxc project create q2 -c features.images=false -c restricted=true -c restricted.devices.disk=allow -c restricted.devices.disk.paths="/nowhere,$PWD/ok"
  lxc profile device add default root disk path=/ pool=default --project q2
  lxc launch bb d1 -q --project q2
  for link in out in absolute up hard sub nothing ../secret; do lxc config device add d1 d disk source="$PWD/ok/$link" path=/mnt --project q2; lxc exec d1 --project q2 -- sh -c 'cat /mnt/f'; lxc config device remove d1 d --project q2; done
  lxc config device add d1 d disk source=/proc/self/root$PWD/ok path=/mnt --project q2
  lxc stop -f d1 --project q2
  lxc config device add d1 d disk source="$PWD/ok/out" path=/mnt --project q2
  lxc start d1 --project q2
  lxc project set q2 restricted.devices.disk.paths=
  lxc start d1 --project q2 && lxc exec d1 --project q2 -- cat /mnt/f
  lxc delete -f d1 --project q2
  lxc project set q2 features.networks=true limits.networks=0
  lxc network create pl38 --project q2
  lxc project delete q2
`, instanceMasks);
