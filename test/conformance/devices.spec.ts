import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';

/** Devices of a running container, added, changed and removed: Roost says what LXD says, and the container sees what LXD's sees. */
const pair = new Pair();

const port = (kind: string): number => (kind === 'lxd' ? 25_100 : 25_200);
const host = (kind: string): string => (kind === 'lxd' ? '10.98.71' : '10.98.72');

beforeAll(async () => {
  await pair.start();
  pair.prepare({ bridge: true });
  for (const target of pair.both) must(target, 'lxc launch bb c1');
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replace(/^Try `lxc info --show-log .*\n?/gm, '').replaceAll(/\b252(\d\d)\b/g, '251$1').replaceAll(/\b10\.(9\d)\.72\b/g, '10.$1.71').replaceAll('ctbr-r', 'ctbr-l').replace(/^ +/gm, ' ').trim(),
  env: (target) => ({ P: `${port(target.kind)}`.slice(0, 3), NET: host(target.kind), BR: pair.bridge(target) }),
};

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

lines('proxies', `
  lxc config device add c1 p1 proxy listen=tcp:127.0.0.1:\${P}01 connect=tcp:127.0.0.1:80
  lxc config device add c1 p2 proxy listen=tcp:127.0.0.1:\${P}01 connect=tcp:127.0.0.1:80
  lxc config device add c1 p3 proxy listen=udp:127.0.0.1:\${P}02 connect=udp:127.0.0.1:80
  lxc config device add c1 p4 proxy listen=udp:127.0.0.1:\${P}03 connect=tcp:127.0.0.1:80
  # What LXD says of listeners that fail is not the same each time.
  lxc config device add c1 p5 proxy listen=tcp:127.0.0.1:70000 connect=tcp:127.0.0.1:80 2>/dev/null
  lxc config device add c1 p6 proxy listen=tcp:9.9.9.9:99 connect=tcp:127.0.0.1:80 2>/dev/null
  lxc config device add c1 p7 proxy listen=unix:/no/such/path connect=tcp:127.0.0.1:80 2>/dev/null
  lxc config device add c1 p8 proxy bind=instance listen=unix:/tmp/in.sock connect=tcp:127.0.0.1:9121 uid=3 gid=4 mode=0640
  lxc exec c1 -- stat -c '%u %g %a %F' /tmp/in.sock
  lxc config device add c1 p9 proxy bind=instance listen=tcp:127.0.0.1:900-902 connect=tcp:127.0.0.1:910-912 security.uid=5 security.gid=6
  lxc config device add c1 pa proxy listen=tcp:127.0.0.1:\${P}10-\${P}11 connect=tcp:127.0.0.1:90-92
  lxc config device add c1 pb proxy nat=true listen=tcp:$NET.1:99 connect=tcp:$NET.4:80
  lxc config device add c1 pc proxy nat=true listen=tcp:$NET.1:99 connect=tcp:0.0.0.0:80
  lxc config device add c1 pd proxy listen=tcp:127.0.0.1:80 connect=unix:/x bind=banana
  lxc config device set c1 p1 connect=tcp:127.0.0.1:81
  lxc config device get c1 p1 connect
  lxc config device set c1 p1 listen=tcp:9.9.9.9:99
  lxc config device get c1 p1 listen
  lxc config device list c1 | sort
  lxc config device remove c1 p1 p3 p8 p9
  lxc config device remove c1 p1
  lxc config device list c1
  lxc config device add c1 eth0 nic network=$BR ipv4.address=$NET.50
  lxc config device add c1 pe proxy nat=true listen=tcp:$NET.1:99-101 connect=tcp:$NET.50:80-82
  lxc config device add c1 pf proxy nat=true listen=udp:$NET.1:99 connect=udp:0.0.0.0:80
  nft list ruleset | sed -n '/chain [a-z]*\\.c1\\.p.*{$/,/}/p' | grep -v comment | tr -d '\\t' | grep -F "$NET" | sort
  lxc config device remove c1 pe pf
  nft list ruleset | grep -c "$NET.50 *:"
  lxc config device remove c1 eth0
`);

// LXD's proxy may cut what is on its way when one side closes; what went through ours is in test/e2e/proxies.spec.ts.
lines('a proxy that says who calls', `
  lxc config device add c1 q1 proxy listen=tcp:127.0.0.1:\${P}20 connect=tcp:127.0.0.1:7000 proxy_protocol=true
  lxc config device remove c1 q1
`);

lines('nodes', `
  lxc config device add c1 n1 unix-char source=/dev/no/such path=/dev/nope
  lxc config device add c1 n2 unix-char source=/dev/null path=/dev/mynull
  lxc config device add c1 n3 unix-char path=/dev/ttyS7 major=4 minor=71 mode=0600 uid=1 gid=2
  lxc config device add c1 n4 unix-block source=/dev/loop0 path=/dev/lo0
  lxc config device add c1 n5 unix-char source=/dev/loop0 path=/dev/lo1
  lxc config device add c1 n6 unix-char source=/dev/no/such path=/dev/nope2 required=false
  lxc config device add c1 n7 unix-char source=/dev/zero path=/opt/zero
  lxc config device add c1 n8 unix-char path=/dev/null major=4
  lxc config device add c1 n9 unix-char source=/tmp/x path=/dev/x
  lxc config device add c1 na unix-char major=4 minor=71
  lxc config device add c1 nb unix-block source=/dev/null path=/dev/y
  lxc exec c1 -- stat -c '%n %F %t,%T %u:%g %a' /dev/mynull /dev/ttyS7 /dev/lo0 /opt/zero
  lxc config device set c1 n3 mode=0666
  lxc exec c1 -- stat -c '%n %F %t,%T %u:%g %a' /dev/ttyS7
  lxc config device remove c1 n2 n3 n4 n6 n7
  lxc exec c1 -- ls /dev/mynull /dev/ttyS7 /dev/lo0 /opt/zero
  lxc config device add c1 u1 usb vendorid=fff0
  lxc config device add c1 u2 usb vendorid=fff0 required=true
  lxc config device add c1 u3 usb vendorid=banana
  lxc config device add c1 h1 unix-hotplug vendorid=fff0
  lxc config device add c1 h2 unix-hotplug vendorid=fff0 required=true
  lxc config device add c1 h3 unix-hotplug
  lxc config device add c1 g1 gpu vendorid=fff0
  lxc config device add c1 g2 gpu id=500
  lxc config device add c1 g3 gpu gputype=mdev mdev=x
  lxc config device add c1 g4 gpu gputype=sriov
  lxc config device add c1 g5 gpu id=0 pci=0000:01:00.0
  lxc config device add c1 g6 gpu gputype=mig mig.gi=0 mig.ci=0
  lxc config device add c1 g7 gpu pci=0000:99:00.0
  lxc config device add c1 g8 gpu pci=99:00.0
  lxc config device add c1 g9 gpu gputype=mig mig.uuid=MIG-7f0c6a3e-5d2b-5b1e-9a2c-111122223333 mig.ci=0
  lxc config device add c1 g9 gpu gputype=mig mig.uuid=banana
  lxc config device add c1 g9 gpu gputype=mig mig.gi=0
  lxc config device add c1 t1 tpm path=/dev/tpm0 pathrm=/dev/tpmrm0
  lxc config device add c1 t2 tpm path=/dev/tpm0
  lxc config device add c1 t2 tpm pathrm=/dev/tpmrm0
  lxc config device add c1 t2 tpm path=/dev/tpm0 pathrm=/dev/tpmrm0 mode=0600
  lxc config device add c1 i1 infiniband nictype=physical parent=ib77
  lxc config device add c1 i1 infiniband nictype=physical parent=lo
  lxc config device add c1 i1 infiniband nictype=sriov parent=lo
  lxc config device add c1 i1 infiniband nictype=bridged parent=lo
  lxc config device add c1 i1 infiniband nictype=physical
  lxc config device add c1 i1 infiniband nictype=physical parent=ib77 hwaddr=00:16:3e:00:00:01
  lxc config device add c1 i1 infiniband nictype=physical parent=ib77 hwaddr=a0:00:02:20:fe:80:00:01 mtu=banana
  lxc config device add c1 i2 infiniband nictype=sriov parent=ib77
  lxc config device add c1 pc pci address=0000:00:01.0
  lxc config device add c1 no none
  lxc config device remove c1 u1 h1 no
`);

lines('disks', `
  mkdir -p share && touch share/file
  lxc config device add c1 d disk source=/no/such path=/mnt
  lxc config device add c1 d disk source=/no/such path=/mnt required=false
  lxc config device remove c1 d
  lxc config device add c1 d disk source=/no/such path=/mnt optional=true
  lxc config device remove c1 d
  lxc config device add c1 d disk source=$PWD/share path=/mnt propagation=banana
  lxc config device add c1 d disk source=$PWD/share path=/mnt readonly=true raw.mount.options=nosuid
  lxc exec c1 -- sh -c 'ls /mnt; touch /mnt/new; grep " /mnt " /proc/mounts | cut -d " " -f 4 | cut -d , -f 1'
  lxc config device set c1 d readonly=false
  lxc exec c1 -- sh -c 'grep " /mnt " /proc/mounts | cut -d " " -f 4 | cut -d , -f 1'
  lxc config device set c1 d limits.read=1MB
  lxc config device set c1 d limits.write=20iops
  cat /sys/fs/cgroup/blkio/*/c1/payload/blkio.throttle.*_device /sys/fs/cgroup/blkio/lxc.payload.c1/blkio.throttle.*_device 2>/dev/null | sed 's/^[0-9:]* //'
  lxc config device set c1 d limits.read=banana
  lxc config device set c1 d limits.max=xiops
  lxc config device get c1 d limits.read
  lxc config device set c1 d path=/data/deep
  lxc exec c1 -- ls /data/deep /mnt
  lxc config device set c1 d path=relative
  lxc exec c1 -- ls /relative
  lxc config device set c1 d recursive=true
  lxc config device set c1 d readonly=true
  lxc config device set c1 d size=1GiB
  lxc config device set c1 d source=relative
  lxc config device remove c1 d
  lxc config device add c1 d disk source=$PWD/share/file path=/etc/motd
  lxc exec c1 -- stat -c %F /etc/motd
  lxc config device remove c1 d
  lxc config device add c1 d disk source=ceph:p/v path=/mnt
  lxc config device add c1 d disk source=ceph:p/v path=/mnt ceph.user_name=u ceph.cluster_name=cl
  lxc config device add c1 d disk source=/tmp path=/mnt ceph.user_name=u
  lxc config device add c1 d disk source=ceph:p/v path=/mnt recursive=true
  lxc config device add c1 d disk source=/tmp path=/mnt size.state=5MiB
  lxc config device add c1 d disk source=/tmp path=/mnt boot.priority=x
  lxc config device add c1 d disk source=nope pool=default path=/mnt
  lxc config device add c1 d disk source=cephfs:p/v path=/mnt ceph.cluster_name=other
  lxc config device add c1 d disk source=cloud-init:config path=/mnt
  lxc config device add c1 d disk source=cloud-init:config
  lxc config device add c1 d disk source=/dev/loop-control path=/mnt
  lxc config device remove c1 d
  lxc config set c1 nvidia.runtime=true
  lxc config set c1 limits.disk.priority 5
  lxc config set c1 limits.disk.priority 11
  lxc config get c1 limits.disk.priority
  lxc config set c1 limits.network.priority 5
  lxc config unset c1 limits.network.priority
`);

lines('network interfaces', `
  lxc config device add c1 n nic nictype=bridged parent=nope
  lxc config device add c1 n nic nictype=macvlan parent=nope
  lxc config device add c1 n nic nictype=physical parent=nope
  lxc config device add c1 n nic nictype=routed parent=nope ipv4.address=10.95.0.9
  lxc config device add c1 n nic nictype=sriov parent=nope
  lxc config device add c1 n nic nictype=sriov parent=lo
  lxc config device add c1 n nic nictype=ipvlan parent=lo ipv4.address=10.95.0.9
  lxc config device add c1 n nic nictype=ovn
  lxc config device add c1 n nic nictype=bridged parent=$BR
  lxc config device add c1 n nic nictype=p2p ipv4.routes=\${NET/98/96}.0/24 name=p2p0 hwaddr=00:16:3e:00:00:77 mtu=1400
  lxc exec c1 -- ip -o link show p2p0 | sed 's/.*mtu/mtu/; s/ brd.*//'
  ip route | grep -F "\${NET/98/96}." | sed 's/dev veth[0-9a-f]*/dev <veth>/'
  lxc config device set c1 n ipv4.routes=\${NET/98/95}.0/24
  lxc config device remove c1 n
  ip route | grep -F "\${NET/98/95}."
  lxc config device override c1 eth0 ipv4.routes=\${NET/98/96}.0/24 ipv4.routes.external=\${NET/98/95}.0/24
  ip route | grep -E "10.9[56].7[12]." | grep -F "$BR" | sed 's/ linkdown//'
  lxc config device set c1 eth0 security.port_isolation=true boot.priority=3
  cat /sys/class/net/$(lxc config get c1 volatile.eth0.host_name)/brport/isolated
  lxc config device set c1 eth0 security.port_isolation=false
  cat /sys/class/net/$(lxc config get c1 volatile.eth0.host_name)/brport/isolated
  lxc config device set c1 eth0 maas.subnet.ipv4=x
  lxc config device set c1 eth0 maas.subnet.ipv6=x
  lxc config device set c1 eth0 ipv4.routes=\${NET/98/94}.0/24
  ip route | grep -E "10.9[456].7[12]." | grep -F "$BR" | sed 's/ linkdown//'
  lxc config device remove c1 eth0
  ip route | grep -E "10.9[456].7[12]." | grep -F "$BR"
`);

lines('starting with devices that are not there', `
  lxc stop -f c1
  lxc config device add c1 d unix-char source=/dev/no/such path=/dev/nope
  lxc start c1
  lxc list -c s -f csv
  lxc config device remove c1 d
  lxc config device add c1 d gpu gputype=mig mig.gi=0 mig.ci=0
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d gpu gputype=mig pci=0000:99:00.0 mig.uuid=7f0c6a3e-5d2b-5b1e-9a2c-111122223333
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d tpm path=/dev/tpm0 pathrm=/dev/tpmrm0
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d infiniband nictype=physical parent=lo
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d nic nictype=sriov parent=lo
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d nic nictype=physical parent=nope
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d gpu vendorid=fff0
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d disk source=cloud-init:config path=/mnt
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d disk source=ceph:p/v path=/mnt
  lxc start c1
  lxc config device remove c1 d
  mkdir gone; lxc config device add c1 d disk source=$PWD/gone path=/mnt; rmdir gone
  lxc start c1 2>&1 | sed "s,$PWD,<dir>,g"
  lxc config device remove c1 d
  lxc config device add c1 d usb vendorid=fff0 required=true
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d proxy listen=tcp:9.9.9.9:99 connect=tcp:127.0.0.1:80
  lxc start c1
  lxc config device remove c1 d
  lxc config device add c1 d proxy nat=true listen=tcp:127.0.0.1:22222 connect=tcp:127.0.0.1:80
  lxc start c1
  lxc config device remove c1 d
  lxc start c1
  lxc list -c s -f csv
`);

lines('commands on devices', `
  lxc config device add c1 d1 disk source=/tmp path=/mnt
  lxc config device add c1 d1 disk source=/tmp path=/mnt
  lxc config device add c1
  lxc config device add c1 d2
  lxc config device add c1 d2 disk path
  lxc config device add nope d2 disk source=/tmp path=/mnt
  lxc config device get c1 d1 path
  lxc config device get c1 d1 nothing
  lxc config device get c1 nope path
  lxc config device set c1 nope path=/x
  lxc config device set c1 d1 nothing=1
  lxc config device set c1 d1 nothing=
  lxc config device set c1 eth0 security.ipv4_filtering=
  lxc config device set c1 d1 path /data
  lxc config device show c1
  lxc config device unset c1 d1 required
  lxc config device unset c1 d1 path
  lxc config device unset c1 nope path
  lxc config device override c1 eth0 mtu=1400
  lxc config device override c1 eth0
  lxc config device override c1 nope
  lxc config device override c1 root size=1GiB
  lxc config device show c1
  lxc config device remove c1 root
  lxc config device remove c1 nope
  lxc config device remove c1 d1 eth0
  lxc config device list c1
  lxc config device list nope
  lxc config device show nope
`);
