import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';

/** Custom storage volumes say and do the same on Roost and on real LXD, command by command, on plain directories and on btrfs. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) must(target, 'lxc storage create bt btrfs size=1GiB');
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replace(/^ +/gm, ' ').trim()
    // LXD does not record when a volume was made, shifts files where we map the mount, and encodes names in URLs twice.
    .replaceAll(/\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)/g, (time) => (/^20[3-9]/.test(time) ? time : '<time>'))
    .replaceAll(/^\s*"?volatile\.idmap\.(last|next)"?: .*\n?/gm, '').replaceAll(/%25([0-9A-F]{2})/g, '%$1').replaceAll(/[A-Z][a-z]{2} +\d+ \d\d:\d\d/g, '<time>')
    // A line that was the last of its object had no comma.
    .replaceAll(/,(?=\n\s*\})/g, '').replaceAll(/^config:$\n(?=description)/gm, 'config: {}\n').replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>'),
};

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

for (const pool of ['default', 'bt']) {
  const volumes = `/1.0/storage-pools/${pool}/volumes`;

  lines(`volumes in pool ${pool}`, `
    lxc storage volume create ${pool} v1
    lxc storage volume create ${pool} v1
    lxc storage volume create ${pool} v2 size=10MiB
    lxc storage volume create ${pool} v4 size=foo
    lxc storage volume create ${pool} v5 foo=bar
    lxc storage volume create ${pool} v5 user.foo=bar security.shifted=true
    lxc storage volume create ${pool} v6 security.shifted=maybe
    lxc storage volume create ${pool} v8 --type=block size=20MiB
    lxc storage volume create ${pool} v9 --type=block security.shifted=true
    lxc storage volume create ${pool} v9 --type=foo
    lxc storage volume create nope v9
    lxc storage volume create ${pool} container/v9
    lxc storage volume create ${pool} custom/v9
    lxc storage volume create ${pool} a/b/c
    lxc storage volume create ${pool} 'a b'
    lxc storage volume create ${pool} ..
    lxc storage volume create ${pool} -- -x
    lxc storage volume list ${pool}
    lxc storage volume list ${pool} -f csv
    lxc storage volume list ${pool} -f json
    lxc storage volume show ${pool} v1
    lxc storage volume show ${pool} v2
    lxc storage volume show ${pool} v8
    lxc storage volume show ${pool} nope
    lxc storage volume get ${pool} v5 user.foo
    lxc storage volume set ${pool} v5 user.foo=baz user.x=y
    lxc storage volume set ${pool} v5 size=20MiB
    lxc storage volume set ${pool} v2 size=5MiB
    lxc storage volume set ${pool} v8 size=5MiB
    lxc storage volume set ${pool} v8 size=50MiB
    lxc storage volume set ${pool} v5 foo=bar
    lxc storage volume set ${pool} v5 security.unmapped=true
    lxc storage volume set ${pool} v5 snapshots.expiry=foo
    lxc storage volume set ${pool} v5 snapshots.expiry=1d
    lxc storage volume set ${pool} v5 snapshots.schedule=foo
    lxc storage volume set ${pool} v5 snapshots.schedule=@startup
    lxc storage volume set ${pool} v5 snapshots.schedule=@never
    lxc storage volume set ${pool} v5 snapshots.schedule='@DAILY, @weekly'
    lxc storage volume set ${pool} v5 snapshots.schedule=@daily
    lxc storage volume set ${pool} v5 snapshots.pattern=x%d
    lxc storage volume set ${pool} v5 block.filesystem=ext4
    lxc storage volume unset ${pool} v5 user.foo
    lxc storage volume unset ${pool} v5 nope
    lxc storage volume show ${pool} v5
    lxc storage volume rename ${pool} v5 v5b
    lxc storage volume rename ${pool} v5b v1
    lxc storage volume rename ${pool} v5b 'a/b'
    lxc storage volume rename ${pool} nope v99
    lxc storage volume rename ${pool} container/x v99
    lxc query ${volumes}
    lxc query '${volumes}?recursion=1'
    lxc query ${volumes}/custom
    lxc query ${volumes}/custom/v5b
    lxc query -X PATCH -d '{"config":{"user.q":"1"}}' ${volumes}/custom/v5b
    lxc query -X PATCH -d '{"description":"hello"}' ${volumes}/custom/v5b
    lxc query ${volumes}/custom/v5b
    lxc query -X PUT -d '{"description":"hello2"}' ${volumes}/custom/v5b
    lxc query ${volumes}/custom/v5b
    printf 'config:\\n user.e: "1"\\ndescription: edited\\n' | lxc storage volume edit ${pool} v5b
    lxc query ${volumes}/custom/v5b
    lxc query -X POST -d '{"name":"q1"}' ${volumes}/custom
    lxc query -X POST -d '{"name":"q2","type":"custom"}' ${volumes}
    lxc query -X POST -d '{"name":"q3"}' ${volumes}
    lxc query -X POST -d '{"name":""}' ${volumes}/custom
    lxc query -X POST -d '{"name":"q3","content_type":"iso"}' ${volumes}/custom
    lxc query -X POST -d '{"name":"q3","source":{"type":"x"}}' ${volumes}/custom
    lxc query -X POST -d '{"name":"q3","source":{"type":"copy"}}' ${volumes}/custom
    lxc query --raw -X POST -d '{"name":"q4"}' ${volumes}/custom
    lxc query --raw -X POST -d '{"name":"q5"}' ${volumes}/custom/q4
    lxc query --raw -X DELETE ${volumes}/custom/q5
    lxc query -X POST -d '{}' ${volumes}/custom/q1
    lxc query -X POST -d '{"name":"x"}' ${volumes}/image/q1
    lxc storage show ${pool} | grep -v source
    lxc storage delete ${pool}
    for v in q1 q2 q3 v2 v5b v8 v9 'a b' ..; do lxc storage volume delete ${pool} "$v"; done
    lxc storage volume delete ${pool} -- -x
    lxc storage volume delete ${pool} q1
    lxc storage volume delete ${pool} container/q1
    lxc storage volume list ${pool} -f csv
  `);

  lines(`volumes of pool ${pool} as disks`, `
    lxc storage volume create ${pool} v8 --type=block
    lxc launch bb c1 -q -s ${pool} 2>/dev/null
    lxc storage volume attach ${pool} v1 c1 dev1 /mnt
    lxc storage volume attach ${pool} v1 c1 dev1 /mnt
    lxc storage volume attach ${pool} nope c1 dev9 /mnt9
    lxc storage volume attach nope v1 c1 dev9 /mnt9
    lxc storage volume attach ${pool} v1 c9 dev9 /mnt9
    lxc storage volume attach ${pool} v8 c1 dev8 /mnt8
    lxc storage volume attach ${pool} v8 c1
    lxc storage volume attach ${pool} v1 c1
    lxc config device show c1
    lxc exec c1 -- sh -c 'touch /mnt/x /mnt/y; chown 1000:1000 /mnt/x; chown 33 /mnt; chmod 1770 /mnt; ls -lan /mnt'
    lxc storage volume show ${pool} v1
    lxc storage volume list ${pool} -f csv
    lxc storage volume delete ${pool} v1
    lxc storage volume rename ${pool} v1 v1b
    lxc storage volume set ${pool} v1 security.shifted=true
    lxc restart -f c1
    lxc exec c1 -- ls -lan /mnt
    lxc storage volume detach ${pool} v1 c1 nope
    lxc storage volume detach ${pool} v1 c1
    lxc storage volume detach ${pool} v1 c1
    lxc exec c1 -- ls /mnt
    lxc storage volume attach-profile ${pool} v1 default dev1 /mnt
    lxc exec c1 -- ls -lan /mnt
    lxc storage volume show ${pool} v1
    lxc storage volume delete ${pool} v1
    lxc stop -f c1
    lxc profile show default
    lxc storage volume detach-profile ${pool} v1 default dev1
    lxc storage volume detach-profile ${pool} v1 default dev1
    lxc storage volume rename ${pool} v1 v1b
    lxc storage volume attach ${pool} v1b c1 /data
    lxc storage volume rename ${pool} v1b v1
    lxc config device show c1
    lxc start c1 2>/dev/null
    lxc exec c1 -- ls -lan /data
    lxc delete -f c1
    lxc storage volume show ${pool} v1
    lxc init bb c1 -q -s ${pool} 2>/dev/null
    lxc config device add c1 q disk pool=${pool} source=v1 path=/q readonly=true
    lxc start c1 2>/dev/null
    lxc exec c1 -- touch /q/new
    lxc config device set c1 q readonly false
    lxc exec c1 -- touch /q/new
    lxc config device add c1 w disk pool=${pool} source=v1 path=/w shift=true
    lxc config device add c1 w disk pool=${pool} source=/v1 path=/w
    lxc config device add c1 w disk pool=${pool} source=v99 path=/w
    lxc config device add c1 w disk pool=${pool} source=v99 path=/w required=false
    lxc config device add c1 w disk pool=${pool} path=/w
    lxc config device add c1 w disk pool=${pool} source=v1 path=/w recursive=true
    lxc profile device add default w disk pool=${pool} source=v99 path=/w
    lxc profile device remove default w
    lxc query -X POST --wait -d '{"name":"x1","source":{"type":"none"},"devices":{"w":{"type":"disk","pool":"${pool}","source":"nope","path":"/x"}}}' /1.0/instances
    lxc launch bb c2 -q -s ${pool} -c security.idmap.isolated=true 2>/dev/null
    lxc storage volume attach ${pool} v1 c2 dev /mnt
    lxc config device show c2
    lxc delete -f c1
    lxc storage volume attach ${pool} v1 c2 dev /mnt
    lxc exec c2 -- ls -lan /mnt
    lxc delete -f c2
    lxc launch bb c3 -q -s ${pool} -c security.privileged=true 2>/dev/null
    lxc storage volume attach ${pool} v1 c3 dev /mnt
    lxc exec c3 -- ls -lan /mnt
    lxc delete -f c3
    lxc storage volume delete ${pool} v1
    lxc storage volume delete ${pool} v8
  `);
}

for (const [pool, other] of [['default', 'bt'], ['bt', 'default']]) {
  const volumes = `/1.0/storage-pools/${pool}/volumes`;

  lines(`snapshots of volumes in pool ${pool}`, `
    lxc storage volume create ${pool} s1 user.a=1
    lxc init bb c1 -q -s ${pool} 2>/dev/null
    lxc storage volume attach ${pool} s1 c1 d1 /mnt
    lxc start c1 2>/dev/null
    lxc exec c1 -- sh -c 'echo one >/mnt/mark; chown 1000:1000 /mnt/mark; chmod 750 /mnt'
    lxc storage volume snapshot ${pool} s1
    lxc storage volume snapshot ${pool} s1 foo
    lxc storage volume snapshot ${pool} s1 foo
    lxc storage volume snapshot ${pool} s1 foo --reuse
    lxc storage volume snapshot ${pool} s1 'a/b'
    lxc storage volume snapshot ${pool} s1 'a b'
    lxc storage volume snapshot ${pool} nope
    lxc storage volume list ${pool} -f csv
    lxc storage volume show ${pool} s1/foo
    lxc storage volume show ${pool} s1/nope
    lxc storage volume get ${pool} s1/foo user.a
    lxc storage volume set ${pool} s1/foo user.a=2
    lxc query ${volumes}/custom/s1/snapshots
    lxc query '${volumes}/custom/s1/snapshots?recursion=1'
    lxc query ${volumes}/custom/nope/snapshots
    lxc query ${volumes}/custom/s1/snapshots/foo
    lxc query ${volumes}/custom/s1/snapshots/nope
    lxc query --raw -X PATCH -d '{"description":"x"}' ${volumes}/custom/s1/snapshots/foo
    lxc query -X PATCH -d '{"expires_at":"2030-01-01T00:00:00Z"}' ${volumes}/custom/s1/snapshots/foo
    lxc query ${volumes}/custom/s1/snapshots/foo
    lxc query --raw -X PUT -d '{"description":"y"}' ${volumes}/custom/s1/snapshots/foo
    lxc query ${volumes}/custom/s1/snapshots/foo
    lxc query --wait -X POST -d '{}' ${volumes}/custom/s1/snapshots
    lxc query --wait -X POST -d '{"name":"bar","expires_at":"2035-01-01T00:00:00Z"}' ${volumes}/custom/s1/snapshots
    lxc storage volume rename ${pool} s1/foo s1/foo2
    lxc storage volume rename ${pool} s1/foo2 s2/x
    lxc query -X POST --wait -d '{"name":"foo3"}' ${volumes}/custom/s1/snapshots/foo2
    lxc query -X POST --wait -d '{"name":"a/b"}' ${volumes}/custom/s1/snapshots/foo3
    lxc query -X POST --wait -d '{"name":""}' ${volumes}/custom/s1/snapshots/foo3
    lxc exec c1 -- sh -c 'echo two >/mnt/mark; touch /mnt/later; chmod 777 /mnt'
    lxc storage volume restore ${pool} s1 foo3
    lxc stop -f c1
    lxc storage volume restore ${pool} s1 foo3
    lxc start c1 2>/dev/null
    lxc exec c1 -- sh -c 'cat /mnt/mark; ls -lan /mnt'
    lxc storage volume set ${pool} s1 snapshots.pattern=p%d snapshots.expiry=1d
    lxc storage volume snapshot ${pool} s1
    lxc query -X DELETE --wait ${volumes}/custom/s1/snapshots/foo3
    lxc storage volume delete ${pool} s1/foo3
    lxc storage volume delete ${pool} s1
    lxc snapshot c1 is
    lxc query ${volumes}/container/c1/snapshots
    lxc query ${volumes}/container/c1/snapshots?recursion=1
    lxc query ${volumes}/container/c1/snapshots/is
    lxc query -X POST -d '{"name":"bar"}' ${volumes}/container/c1/snapshots
    lxc query -X DELETE ${volumes}/container/c1/snapshots/is
    lxc query -X PATCH -d '{"description":"x"}' ${volumes}/container/c1/snapshots/is
    lxc storage volume show ${pool} container/c1/is
    lxc delete -f c1
    lxc storage volume rename ${pool} s1 s1b
    lxc query ${volumes}/custom/s1b/snapshots
  `);

  lines(`copies of volumes from pool ${pool}`, `
    lxc storage volume copy ${pool}/s1b ${pool}/o2
    lxc storage volume copy ${pool}/s1b ${other}/o2
    lxc storage volume copy ${pool}/s1b ${other}/o2
    lxc storage volume copy ${pool}/s1b/bar ${other}/o3
    lxc storage volume copy ${pool}/s1b ${other}/o4 --volume-only
    lxc storage volume copy ${pool}/nope ${other}/o5
    lxc storage volume copy ${pool}/s1b nope/o5
    lxc storage volume copy ${pool}/s1b ${other}
    lxc query -X POST --wait -d '{"name":"o5","source":{"type":"copy","name":"s1b","pool":"nope"}}' ${volumes}/custom
    lxc query -X POST --wait -d '{"name":"o5","source":{"type":"copy","name":"nope","pool":"${pool}"}}' ${volumes}/custom
    lxc query -X POST --wait -d '{"name":"o5","source":{"type":"copy","name":"s1b/nope","pool":"${pool}"}}' ${volumes}/custom
    lxc query -X POST --wait -d '{"name":"o5","source":{"type":"copy","name":"s1b"}}' ${volumes}/custom
    lxc query -X POST --wait -d '{"name":"o5","source":{"type":"copy","name":"s1b","pool":"${pool}"},"config":{"user.x":"y"},"description":"foo"}' ${volumes}/custom
    lxc query '/1.0/storage-pools/${other}/volumes/custom?recursion=1' | jq -c 'map([.name,.config["user.a"],.description]) | sort'
    lxc query '${volumes}/custom?recursion=1' | jq -c 'map([.name,.config["user.x"],.description]) | sort'
    lxc storage volume snapshot ${pool} s1b s9
    lxc storage volume delete ${pool} s1b/snap0
    lxc storage volume copy ${pool}/s1b ${other}/o2 --refresh
    lxc storage volume list ${other} -f csv | sort
    lxc init bb c1 -q -s ${other} 2>/dev/null
    lxc storage volume attach ${other} o2 c1 d1 /mnt
    lxc start c1 2>/dev/null
    lxc exec c1 -- sh -c 'cat /mnt/mark; ls -lan /mnt/mark'
    lxc delete -f c1
    lxc storage volume move ${other}/o2 ${other}/o6
    lxc storage volume move ${other}/o6 ${pool}/o6
    lxc storage volume move ${pool}/nope ${pool}/o6
    lxc query -X POST --wait -d '{"name":"o7","pool":"${other}"}' ${volumes}/custom/o6
    lxc query -X POST -d '{"name":"o7","pool":"nope"}' ${volumes}/custom/o2
    lxc query -X POST -d '{"name":"a/b","pool":"${other}"}' ${volumes}/custom/o2
    lxc query -X POST -d '{"name":"o7","pool":"${other}"}' ${volumes}/custom/o2
    lxc project create p1
    lxc storage volume copy ${pool}/o2 ${pool}/pvc --target-project p1
    lxc storage volume move ${pool}/pvc ${pool}/pve --project p1 --target-project default
    lxc storage volume list ${pool} --all-projects -f csv | sort
    lxc project delete p1
    for p in ${pool} ${other}; do lxc storage volume list $p -f csv | grep '^custom,' | cut -d, -f2 | sort | xargs -n1 lxc storage volume delete $p; done
    lxc storage volume list ${other} -f csv
  `);
}

lines('volumes in projects', `
  lxc project create p1
  lxc project create p2 -c features.storage.volumes=false
  lxc storage volume create default pv --project p1
  lxc storage volume create default pv --project p2
  lxc storage volume list default --project p1 -f csv
  lxc storage volume list default --project p2 -f csv
  lxc storage volume list default --all-projects -f csv
  lxc query '/1.0/storage-pools/default/volumes?all-projects=true' | jq -c sort
  lxc query '/1.0/storage-pools/default/volumes/custom?project=p2'
  lxc storage volume show default pv --project p1
  lxc storage volume show default pv
  lxc project show p1
  lxc storage volume rename default pv pw --project p1
  lxc storage volume delete default pw --project p1
  lxc storage volume delete default pv --project p2
  lxc project delete p1
  lxc project delete p2
`);

lines('defaults of a pool', `
  lxc storage set default volume.size=20MiB
  lxc storage set default volume.snapshots.expiry=3d
  lxc storage set default volume.security.shifted=true
  lxc storage volume create default e1
  lxc storage volume show default e1
  lxc storage volume create default e2 --type=block
  lxc storage volume show default e2
  lxc storage volume create default e7 snapshots.expiry=
  lxc storage volume show default e7
  for v in e1 e2 e7; do lxc storage volume delete default $v; done
`);

lines('volumes of the server itself', `
  lxc config set storage.backups_volume foo
  lxc config set storage.backups_volume a/b/c
  lxc config set storage.backups_volume nope/v
  lxc config set storage.images_volume default/nope
  lxc storage volume create default own; lxc storage volume create bt own; lxc storage volume create default disk --type=block size=1MiB; lxc storage volume create default snapped; lxc storage volume snapshot default snapped; lxc storage volume create default packed
  lxc config set storage.backups_volume default/disk
  lxc config set storage.backups_volume default/snapped
  touch $LXD_DIR/storage-pools/default/custom/default_packed/file; lxc config set storage.backups_volume default/packed
  lxc query -X POST -d '{"name":"b0"}' --wait /1.0/storage-pools/default/volumes/custom/packed/backups
  lxc config set storage.backups_volume default/own
  lxc config get storage.backups_volume
  readlink $LXD_DIR/backups; lxc storage volume show default own
  lxc config set storage.images_volume default/own
  lxc storage volume delete default own
  lxc storage volume rename default own x
  lxc storage volume snapshot default own
  lxc storage delete default
  lxc query -X POST -d '{"name":"b1"}' --wait /1.0/storage-pools/default/volumes/custom/packed/backups
  lxc storage volume set default own user.a=b
  lxc config set storage.images_volume bt/own
  lxc image copy bb local: --alias cc 2>&1 | head -c5; lxc image export bb exported >/dev/null; ls exported* | wc -l; rm -f exported*
  lxc init -q bb onvolume -s bt 2>/dev/null; lxc list -f csv -c ns; lxc delete onvolume
  ls $LXD_DIR/images | wc -l; ls $LXD_DIR/storage-pools/bt/custom/default_own | wc -l
  lxc config set storage.backups_volume ''
  readlink $LXD_DIR/backups; ls -A $LXD_DIR/storage-pools/default/custom/default_own; lxc storage volume delete default own
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/storage-pools/default/volumes/custom/packed/backups/b1/export | tar tzf - | sed 's,/$,,' | sort
  lxc config unset storage.images_volume; lxc storage volume delete bt own; lxc image list -f csv -c s | wc -l
  for v in disk snapped packed; do lxc storage volume delete default $v; done
`);

lines('what stopped containers hold', `
  lxc init bb h1 -q -s bt && lxc init bb h2 -q -s default
  lxc config device set h1 root size=50MiB
  lxc query /1.0/instances/h1/state | sed 's/"usage": [1-9][0-9]*/"usage": n/'
  lxc query /1.0/instances/h2/state
  lxc query '/1.0/instances?recursion=2' | sed -n 's/"usage": [1-9][0-9]*/"usage": n/; /"disk"/,/"memory"/p'
  lxc info h1
  lxc list -f csv -c nD | sed 's/[0-9.]*KiB/n/'
  lxc delete h1 h2
`);

lines('the root disk of a running container', `
  lxc launch bb b1 -q -s bt
  lxc config device set b1 root size=50MiB
  lxc exec b1 -- sh -c 'dd if=/dev/zero of=/root/x bs=1M count=60 2>&1 | grep -c "space\\|quota"; rm /root/x'
  lxc config device set b1 root size=100MiB
  lxc exec b1 -- sh -c 'dd if=/dev/zero of=/root/x bs=1M count=60 2>&1 | grep -c "space\\|quota"; rm /root/x'
  lxc config device set b1 root size=banana
  lxc config device unset b1 root size
  lxc exec b1 -- sh -c 'dd if=/dev/zero of=/root/x bs=1M count=120 2>&1 | grep -c "space\\|quota"; rm /root/x'
  lxc config device show b1
  lxc delete -f b1
`);
