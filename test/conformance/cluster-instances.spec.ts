import { afterAll, beforeAll, describe, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { ClusterPair } from '../support/cluster-pair.js';
import { unmet } from '../support/needs.js';

/**
 * Instances of a cluster of three, ours and real LXD's, by the stock client: where they are made, through whom they are seen and worked on, what is
 * refused. The number before a line is the member that is asked. The lists build on one another.
 */
describe.skipIf(unmet('clusters beside real LXD', Cluster.whyNot()))('instances of a cluster', () => {
  let pair: ClusterPair;
  beforeAll(async () => {
    pair = new ClusterPair({ members: 3 });
    await pair.form();
    await Promise.all(pair.both.map((cluster) => cluster.settled()));
  });
  afterAll(async () => { await pair.destroy(); });

  function lines(title: string, commands: string): void {
    describe(title, () => {
      for (const line of commands.split('\n').map((text) => text.trim()).filter((text) => text !== '')) {
        it(line, () => { pair.same(line.slice(2), Number(line[0])); });
      }
    });
  }

  const ask = (method: string, path: string, body: object | null = null): string => `lxc query --wait -X ${method} '${path}'${body === null ? '' : ` -d '${JSON.stringify(body)}'`}`;

  lines('are placed by number, by name and by group', `
    1 lxc init bb p1
    3 lxc init bb p2
    2 lxc init bb p3
    3 lxc init bb p4
    1 lxc init bb p5 --target m3
    2 lxc init bb p6 --target m9
    2 lxc init bb p6 --target @g1
    1 lxc cluster group create g1
    1 lxc cluster group assign m2 default,g1
    3 lxc init bb p6 --target @g1
    1 lxc init bb p7 --target @default
    1 lxc cluster set m1 scheduler.instance manual
    1 lxc cluster set m2 scheduler.instance group
    2 lxc init bb p8
    2 lxc init bb p9 --target m1
    1 lxc init bb p10 --target @g1
    1 lxc cluster set m3 scheduler.instance manual
    1 lxc init bb p11
    3 lxc init bb p11 --target @default
    1 lxc cluster unset m1 scheduler.instance
    1 lxc cluster unset m2 scheduler.instance
    1 lxc cluster unset m3 scheduler.instance
    3 lxc list -f csv -c nsL
    1 lxc init bb p1 --target m2
    1 ${ask('POST', '/1.0/instances?target=m2', { name: 'p1', source: { type: 'none' } })}
    1 ${ask('POST', '/1.0/instances', { name: 'p12', architecture: 'aarch64', source: { type: 'none' } })}
    1 ${ask('POST', '/1.0/instances?target=m2', { name: 'p12', profiles: ['nope'], source: { type: 'none' } })}
    1 ${ask('POST', '/1.0/instances?target=m2', { name: 'p 12', source: { type: 'none' } })}
    2 for i in 1 2 3 4 5 6 7 8 9 10; do lxc delete p$i; done
    1 lxc list -f csv -c nsL
  `);

  lines('are worked on through any member', `
    1 lxc launch bb c1 --target m2 -c boot.host_shutdown_timeout=1
    3 lxc exec c1 -- sh -c 'echo out; echo err >&2; exit 3'
    1 echo text | lxc exec c1 -- cat
    3 lxc config set c1 user.a b
    1 lxc config get c1 user.a
    3 lxc config show c1 | grep -v -e uuid -e instance-id -e idmap -e image.description
    1 lxc pause c1
    3 lxc list -f csv -c nsL
    3 lxc start c1
    1 lxc restart c1 --force
    3 lxc query '/1.0/instances/c1/state' | grep '"status"'
    3 lxc query '/1.0/containers/c1' | grep '"location"'
    1 lxc query '/1.0/instances?recursion=1&filter=location%20eq%20m2' | grep '"name"'
    3 lxc query '/1.0/instances?recursion=2&filter=status%20eq%20running' | grep '"name"'
    3 lxc stop c1 --force
    3 lxc stop c1 --force
    1 lxc rename c1 c2
    3 lxc info c2 | grep -e Name -e Status -e Location
    1 lxc exec c2 -- true
    1 lxc config set c2 limits.memory lots
    3 lxc profile set default user.x=y && lxc query /1.0/instances/c2 | grep user.x
    1 lxc start c2
    3 lxc stop --all --force
    1 lxc list -f csv -c nsL
    3 lxc delete c2
    3 lxc delete c2
    1 lxc exec c2 -- true
    2 lxc start c2
  `);

  lines('have files, snapshots, backups, images and copies through any member', `
    1 lxc init bb f1 --target m2
    3 echo one | lxc file push - f1/root/a/t -p --mode 0640 --uid 7
    1 lxc file pull f1/root/a/t -
    1 lxc file pull -r f1/root/a . -q && cat a/t
    3 lxc file pull f1/root/nope -
    1 lxc config metadata show f1 | grep -v -e date -e serial
    3 lxc snapshot f1 s0
    1 lxc file push -q /etc/hostname f1/root/a/u && lxc snapshot f1 s1
    3 lxc snapshot f1 s0
    3 lxc query /1.0/instances/f1/snapshots
    1 lxc query /1.0/instances/f1/snapshots/s0 | jq -c '[.name,.profiles]'
    1 lxc restore f1 s0
    3 lxc file pull f1/root/a/u -
    3 lxc rename f1/s1 f1/s2
    1 lxc export f1 b.tar.gz -q && tar tzf b.tar.gz | grep -v /rootfs | sed s,/$,, | sort
    3 lxc export f1 b.tar.gz --instance-only -q && lxc import b.tar.gz i1 -q && lxc list i1 -f csv -c nsLS
    1 lxc query /1.0/instances/f1/backups
    1 lxc publish f1 -q --alias pub user.k=v | sed 's/fingerprint: .*//'
    3 lxc publish f1/s0 -q --alias pubs | sed 's/fingerprint: .*//'
    2 lxc image list -f csv -c lt | sort
    3 lxc image show pub | grep -v -e serial -e expires
    1 lxc init pub i2 -q --target m3 && lxc file pull i2/root/a/t -
    3 lxc init pubs i3 -q --target m1 && lxc file pull i3/root/a/t -
    1 lxc copy f1 k1 --target m3
    3 lxc copy f1 k2 --target m2 --instance-only
    1 lxc copy f1/s0 k3 --target m1
    3 lxc copy f1 k1 --target m3
    3 lxc copy f1 k4 --target m9
    1 lxc copy f1 k4 --target @nope
    2 lxc list -f csv -c nsLS
    1 lxc move k3 k6 --target m3
    2 lxc list -f csv -c nsLS
    1 lxc delete f1/s0
    3 lxc delete f1 k1 k2 k6 i1 i2 i3
    3 lxc image delete pub pubs
    1 lxc list -f csv -c n
  `);

  lines('are copied while they run, and moved by a restart, without their state', `
    1 lxc launch bb r1 --target m1 -c boot.host_shutdown_timeout=1
    1 lxc exec r1 -- sh -c 'echo kept >/root/mark'
    1 lxc copy r1 r2 --target m2
    1 lxc copy r1 r2 --target m2 --stateless
    3 lxc copy r1 r3 --target m3 --stateless --allow-inconsistent
    3 lxc copy r1 r4 --target m3 --allow-inconsistent
    2 lxc file pull r2/root/mark -
    2 lxc file pull r3/root/mark -
    1 lxc list -f csv -c nsL
    1 lxc move r1 --target m2
    3 lxc move r1 --target m2 --stateless
    1 lxc list -f csv -c nsL
    1 lxc query -X POST -d '{"migration":true,"live":false,"name":"r1","allow_inconsistent":true}' --wait '/1.0/instances/r1?target=m3' | grep '"status"'
    2 lxc exec r1 -- cat /root/mark
    2 lxc move r1 r5 --target m1 --stateless
    1 lxc list -f csv -c nsL
    1 lxc delete -f r1 r2 r3 r5
  `);

  lines('stay where they are in an evacuation when they have what others have not', `
    1 lxc storage volume create default lv --target m2
    1 lxc init bb x1 --target m2
    1 lxc config device add x1 d disk pool=default source=lv path=/lv
    1 lxc init bb x2 --target m2
    1 lxc config device add x2 d proxy listen=tcp:127.0.0.1:5555 connect=tcp:127.0.0.1:5556
    1 lxc init bb x3 --target m2
    1 lxc config device add x3 d none
    1 lxc cluster evacuate m2 --force
    1 lxc list -f csv -c n location=m2
    1 lxc cluster restore m2 --force
    3 lxc config set x1 cluster.evacuate migrate
    3 lxc move x1 --target m1
    3 lxc list -f csv -c nL
    1 lxc delete x1 x2 x3
    1 lxc storage volume delete default lv
  `);

  lines('have volumes of which any member makes, shows and sends backups', `
    1 lxc storage volume create default bv --target m2
    3 lxc storage volume snapshot default bv s0
    3 lxc storage volume export default bv bv.tgz >/dev/null && tar tzf bv.tgz | sed s,/$,, | sort
    1 lxc query -X POST --wait -d '{"name":"b0"}' /1.0/storage-pools/default/volumes/custom/bv/backups
    3 lxc query /1.0/storage-pools/default/volumes/custom/bv/backups
    3 lxc storage volume import default bv.tgz iv >/dev/null
    1 lxc storage volume list default -f csv -c tnL
    1 lxc query -X DELETE --wait /1.0/storage-pools/default/volumes/custom/bv/backups/b0
    1 lxc storage volume delete default bv
    1 lxc storage volume delete default iv
  `);

  lines('leave a member that is evacuated, and come back', `
    1 lxc launch bb e1 --target m3 -c boot.host_shutdown_timeout=1
    1 lxc init bb e2 --target m3
    1 lxc launch bb e3 --target m3 -c cluster.evacuate=stop -c boot.host_shutdown_timeout=1
    1 lxc init bb e4 -c cluster.evacuate=maybe
    2 lxc cluster evacuate m3 --force
    1 lxc list -f csv -c ns
    1 lxc list e3 -f csv -c L
    1 lxc config get e1 volatile.evacuate.origin
    3 lxc config get e3 volatile.evacuate.origin
    1 lxc start e3
    1 lxc init bb e5 --target m3
    3 lxc init bb e5 --target m1
    1 lxc cluster evacuate m3 --force
    2 lxc exec e1 -- hostname
    1 lxc cluster restore m3 --force
    2 lxc list -f csv -c nsL
    1 lxc config get e1 volatile.evacuate.origin
    1 lxc cluster restore m3 --force
    3 lxc delete -f e1 e2 e3 e5
    1 lxc launch bb e6 --target m3 -c cluster.evacuate=live-migrate
    2 lxc cluster evacuate m3 --force 2>&1 | grep -c 'Failed to migrate instance: Failed stopping instance "e6": '
    1 lxc list e6 -f csv -c nsL
    1 lxc cluster restore m3 --force
    2 lxc list e6 -f csv -c nsL
    3 lxc delete -f e6
  `);
});
