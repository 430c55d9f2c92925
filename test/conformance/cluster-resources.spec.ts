import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { ClusterPair } from '../support/cluster-pair.js';
import { must } from '../support/pair.js';
import { unmet } from '../support/needs.js';

/** Pools, networks and images of three members, beside real LXD. */
describe.skipIf(unmet('clusters beside real LXD', Cluster.whyNot()))('resources of a cluster', () => {
  let pair: ClusterPair;
  beforeAll(async () => {
    pair = new ClusterPair({ members: 3 });
    await pair.form();
    await Promise.all(pair.both.map((cluster) => cluster.settled()));
  });
  afterAll(async () => { await pair.destroy(); });

  const members = [1, 2, 3];
  /** A line asked through every member. */
  const everywhere = (line: string): void => { for (const index of members) pair.same(line, index); };
  /** A raw request: status, error and metadata; what members name in no order is sorted. */
  const query = (method: string, path: string, body?: object, index = 1): void => {
    const data = body === undefined ? '' : ` -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
    pair.same(`curl -s --unix-socket $LXD_DIR/unix.socket -X ${method}${data} 'http://x${path}' `
      + `| jq -cS 'del(.metadata.used_by) | if (.metadata | type) == "object" and .metadata.locations then .metadata.locations |= sort else . end'`, index);
  };
  const pools = '/1.0/storage-pools';
  const networks = '/1.0/networks';

  describe('pools', () => {
    it('are defined by member, and made by one request', () => {
      pair.same('lxc storage create p1 dir');
      query('POST', `${pools}?target=m9`, { name: 'p1', driver: 'dir' });
      query('POST', `${pools}?target=m1`, { name: 'p1', driver: 'nodriver' });
      query('POST', `${pools}?target=m1`, { name: 'p1' });
      query('POST', `${pools}?target=m1`, { name: 'p1', driver: 'dir', config: { 'rsync.bwlimit': '1' } });
      query('POST', `${pools}?target=m1`, { name: 'p1', driver: 'dir', config: { size: '1GiB' } });
      pair.same('lxc storage create p1 dir --target m1', 2);
      pair.same('lxc storage create p1 dir --target m1', 2);
      query('POST', `${pools}?target=m2`, { name: 'p1', driver: 'btrfs' }, 3);
      everywhere('lxc storage list');
      query('GET', `${pools}/p1`);
      query('GET', `${pools}/p1?target=m1`, undefined, 2);
      query('GET', `${pools}/p1?target=m2`);
      query('POST', pools, { name: 'p1', driver: 'dir' }, 3);
      query('PUT', `${pools}/p1`, { config: { 'user.x': 'y' } });
      pair.same('lxc storage create p1 dir --target m2 && lxc storage create p1 dir --target m3', 3);
      query('POST', pools, { name: 'p1', driver: 'btrfs' });
      query('POST', pools, { name: 'p1', driver: 'dir', config: { source: '/x' } });
      pair.same('lxc storage create p1 dir rsync.bwlimit=1MB user.k=v', 2);
      everywhere('lxc storage list -f csv');
      for (const target of ['', '?target=m1', '?target=m2', '?target=m9']) pair.same(`lxc query '${pools}/p1${target}' | grep -vE '"m[123]",?$' | sed "s#$LXD_DIR#DIR#"`, 3);
      query('POST', pools, { name: 'p1', driver: 'dir' });
      query('POST', `${pools}?target=m1`, { name: 'p1', driver: 'dir' });
    });

    it('are changed as a whole or by member', () => {
      pair.same('lxc storage set p1 rsync.bwlimit 2MB && lxc storage set p1 user.a b && lxc storage get p1 user.a', 3);
      pair.same('lxc storage set p1 user.a b --target m2');
      query('PATCH', `${pools}/p1`, { config: { source: '/zz' } });
      query('PATCH', `${pools}/p1?target=m1`, { config: { 'user.new': '1' } });
      query('PATCH', `${pools}/p1?target=m2`, { config: { 'user.new': '1' } });
      query('PUT', `${pools}/p1?target=m1`, { config: { source: '/zz' } });
      query('PATCH', `${pools}/p1?target=m9`, { config: {} });
      pair.same('lxc storage unset p1 user.a && lxc query /1.0/storage-pools/p1 | jq .config', 2);
      pair.same('lxc storage info p1 --target m2 | grep -v space');
      query('GET', `${pools}/p1/resources?target=m9`);
    });

    it('hold volumes of members', () => {
      pair.must('lxc init bb v1 --target m2 -s p1 && lxc init bb v2 --target m3 -s p1');
      everywhere(`lxc query ${pools}/p1/volumes`);
      pair.same(`lxc query '${pools}/p1/volumes?target=m2'`, 3);
      pair.same('lxc storage volume list p1', 1);
      pair.same(`lxc query ${pools}/p1/volumes/container/v1 | jq -c '[.name,.location,.used_by]'`, 3);
      pair.same(`lxc query ${pools}/p1 | jq -c .used_by`, 1);
      // LXD looks at this member's volumes alone, and fails in the middle over others'.
      pair.same('lxc storage delete p1', 2);
      pair.must('lxc delete v1 v2');
    });

    it('hold custom volumes of members, some by the same name', () => {
      pair.same('lxc storage volume create p1 cv user.a=b --target m2', 1);
      pair.same('lxc storage volume create p1 cv --target m3', 1);
      pair.same('lxc storage volume create p1 cv --target m3', 2);
      pair.same('lxc storage volume create p1 here', 2);
      pair.same('lxc storage volume create p1 x --target m9', 1);
      everywhere('lxc storage volume list p1 -f csv | sort');
      everywhere(`lxc query ${pools}/p1/volumes/custom | jq -c sort`);
      pair.same(`lxc query '${pools}/p1/volumes/custom?target=m3'`, 1);
      pair.same('lxc storage volume show p1 cv', 1);
      pair.same('lxc storage volume set p1 cv user.a c', 1);
      pair.same('lxc storage volume delete p1 cv', 1);
      pair.same('lxc storage volume get p1 cv user.a --target m2', 3);
      pair.same('lxc storage volume show p1 here | grep -v created_at', 3);
      pair.same('lxc storage volume set p1 here user.q r && lxc storage volume get p1 here user.q', 3);
      pair.same('lxc storage volume set p1 cv user.a c --target m2 && lxc storage volume get p1 cv user.a --target m2', 1);
      pair.same('lxc storage volume rename p1 cv cw --target m2', 3);
      pair.same('lxc storage volume show p1 nope', 2);
      pair.same('lxc storage volume show p1 here --target m1', 2);
      pair.same('lxc storage volume delete p1 nope', 2);
    });

    it('hold snapshots of them', () => {
      pair.same('lxc storage volume snapshot p1 here s0', 1);
      pair.same('lxc storage volume snapshot p1 here s0', 3);
      pair.same('lxc storage volume snapshot p1 cw s0 --target m2', 1);
      pair.same('lxc storage volume snapshot p1 cw --target m2', 3);
      pair.same('lxc storage volume show p1 here/s0 | grep -v created_at', 3);
      pair.same('lxc storage volume rename p1 here/s0 here/s1', 1);
      pair.same('lxc storage volume restore p1 here s1', 3);
      pair.same('lxc storage volume restore p1 here nope', 3);
      everywhere('lxc storage volume list p1 -f csv | sort');
      pair.same('lxc storage volume delete p1 cw/s0 --target m2', 1);
      pair.same('lxc storage volume delete p1 here/nope', 1);
    });

    it('are copied and moved from member to member', () => {
      pair.same('lxc storage volume copy p1/here p1/copied --target m2 --destination-target m1', 3);
      pair.same('lxc storage volume copy p1/here/s1 p1/of-snapshot --target m2 --destination-target m3', 1);
      pair.same('lxc storage volume copy p1/here p1/copied --target m2 --destination-target m1', 3);
      pair.same('lxc storage volume copy p1/here p1/copied --refresh --target m2 --destination-target m1', 3);
      pair.same('lxc storage volume copy p1/nope p1/zz --target m2 --destination-target m1', 3);
      pair.same('lxc storage volume copy p1/here p1/zz --target m2 --destination-target m9', 3);
      pair.same('lxc storage volume move p1/copied p1/moved --target m1 --destination-target m3', 2);
      everywhere('lxc storage volume list p1 -f csv | sort');
      for (const name of ['of-snapshot', 'moved']) pair.same(`lxc storage volume delete p1 ${name} --target m3`, 1);
    });

    it('are copied and moved from member to member by our command line', () => {
      const ours = (line: string, index: number): void => { pair.sameByClients(line, index); };
      ours('lxc storage volume copy p1/here p1/copied --target m2 --destination-target m1', 3);
      ours('lxc storage volume copy p1/cw p1/local --target m2 --destination-target m2', 1);
      ours('lxc storage volume copy p1/here p1/alone --volume-only --target m2 --destination-target m3', 1);
      // LXD's client carries the bytes from member to member, ours has the members do it: only that shows in the words.
      ours('lxc storage volume copy p1/here p1/copied --target m2 --destination-target m1 2>&1 | sed "s/Failed storage volume creation: //"', 3);
      ours('lxc storage volume move p1/copied p1/moved --target m1 --destination-target m3', 2);
      everywhere('lxc storage volume list p1 -f csv | sort');
      for (const [name, member] of [['alone', 3], ['local', 2], ['moved', 3]] as const) ours(`lxc storage volume delete p1 ${name} --target m${member}`, 1);
    });

    it('are disks of instances on the same member', () => {
      pair.must('lxc init bb user --target m3 -s p1');
      pair.same('lxc storage volume attach p1 cw user d /d', 1);
      pair.same('lxc config device add user d disk pool=p1 source=cw path=/d', 2);
      pair.same('lxc config device add user d disk pool=p1 source=nope path=/d', 2);
      pair.same('lxc storage volume attach p1 cv user d /d', 1);
      pair.same('lxc storage volume list p1 -f csv | sort', 2);
      pair.same('lxc storage volume show p1 cv --target m3 | grep -A2 used_by', 2);
      pair.same('lxc config device show user', 1);
      pair.same('lxc storage volume delete p1 cv --target m3', 1);
      pair.same('lxc move user --target m1', 2);
      pair.same('lxc copy user user2 --target m1', 2);
      pair.same('lxc list -f csv -c nsL', 1);
      pair.same('lxc storage info p1 --target m3 | grep -v space', 2);
      pair.same('lxc storage info p1 --target m1 | grep -v space', 2);
      pair.must('lxc start user', 2);
      pair.same('lxc exec user -- sh -c "echo kept >/d/f"', 1);
      pair.must('lxc delete -f user', 2);
      for (const [name, member] of [['cw', 2], ['here', 2], ['cv', 3]] as const) pair.same(`lxc storage volume delete p1 ${name} --target m${member}`, 1);
      everywhere('lxc storage volume list p1 -f csv');
    });

    it('are deleted on all members', () => {
      pair.same('lxc storage delete p1', 3);
      pair.same('lxc storage delete p1', 1);
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), 'test ! -e $LXD_DIR/storage-pools/p1');
    });

    it('stay as errored when a member cannot make its part, and can be made then', () => {
      pair.must('lxc storage create p1 dir --target m1 && lxc storage create p1 dir --target m2 source=$HOME/src && lxc storage create p1 dir --target m3', 2);
      pair.same('lxc storage create p1 dir user.k=v 2>&1 | sed "s#/tmp/.*/src#SRC#"', 1);
      everywhere('lxc storage list -f csv');
      for (const name of ['m1', 'm2', 'm3']) pair.same(`lxc query '${pools}/p1?target=${name}' | jq -c .status`);
      query('POST', pools, { name: 'p1', driver: 'dir', config: { 'user.k': 'v' } });
      query('POST', `${pools}?target=m1`, { name: 'p1', driver: 'dir' });
      query('PUT', `${pools}/p1`, { config: {} });
      for (const cluster of pair.both) must(cluster.member(2), 'mkdir $HOME/src');
      pair.same('lxc storage create p1 dir', 3);
      pair.same('lxc storage list -f csv', 2);
      pair.same('lxc storage delete p1', 2);
    });
  });

  describe('networks', () => {
    it('are defined by member, and made by one request', () => {
      pair.same('lxc network create cr-br0');
      query('POST', `${networks}?target=m9`, { name: 'cr-br0', type: 'bridge' });
      query('POST', `${networks}?target=m1`, { name: 'cr-br0', type: 'nope' });
      query('POST', `${networks}?target=m1`, { name: 'cr-br0', type: 'bridge', config: { 'ipv4.address': '10.9.0.1/24' } });
      pair.same('lxc network create cr-br0 --target m1', 3);
      pair.same('lxc network create cr-br0 --target m1', 3);
      everywhere('lxc network list -f csv | grep cr-br0');
      query('GET', `${networks}/cr-br0`);
      query('GET', `${networks}/cr-br0?target=m2`);
      query('POST', networks, { name: 'cr-br0', type: 'bridge' }, 2);
      query('PATCH', `${networks}/cr-br0`, { config: { 'user.x': 'y' } });
      query('PATCH', `${networks}/cr-br0?target=m1`, { config: { 'user.x': 'y' } });
      query('POST', `${networks}/cr-br0`, { name: 'cr-br1' });
      pair.same('lxc network create cr-br0 --target m2 && lxc network create cr-br0 --target m3', 3);
      query('POST', networks, { name: 'cr-br0', type: 'bridge', config: { 'bridge.external_interfaces': 'nic7' } });
      pair.same('lxc network create cr-br0 ipv4.address=10.77.7.1/24 ipv6.address=none user.k=v', 2);
      everywhere('lxc network list -f csv | grep cr-br0');
      for (const target of ['', '?target=m1', '?target=m2', '?target=m9']) query('GET', `${networks}/cr-br0${target}`, undefined, 3);
      query('POST', networks, { name: 'cr-br0', type: 'bridge' });
      query('POST', `${networks}?target=m1`, { name: 'cr-br0', type: 'bridge' });
    });

    it('are on every member, and known through any', () => {
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), 'ip -br addr show cr-br0 | grep -q 10.77.7.1/24');
      pair.same('lxc network list-leases cr-br0', 2);
      pair.same('lxc network info cr-br0 --target m3 | grep -E "inet|Name|Type"', 1);
      query('GET', `${networks}/cr-br0/state?target=m9`);
      query('GET', `${networks}/zz?target=m2`);
    });

    it('are changed on every member', () => {
      pair.same('lxc network set cr-br0 ipv4.address 10.77.8.1/24', 3);
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), 'ip -br addr show cr-br0 | grep -q 10.77.8.1/24');
      query('PATCH', `${networks}/cr-br0`, { config: { 'bridge.external_interfaces': 'nic7' } });
      query('PATCH', `${networks}/cr-br0?target=m2`, { config: { 'user.x': '1' } });
      query('PATCH', `${networks}/cr-br0?target=m9`, { config: {} });
    });

    it('forward addresses of one member each', () => {
      const forwards = `${networks}/cr-br0/forwards`;
      query('POST', `${forwards}?target=m2`, { listen_address: '192.0.2.9', config: { target_address: '10.77.8.5' } });
      query('POST', forwards, { listen_address: '192.0.2.9' }, 3);
      query('POST', forwards, { listen_address: '192.0.2.9' }, 3);
      query('POST', `${forwards}?target=m9`, { listen_address: '192.0.2.9' });
      everywhere('lxc network forward list cr-br0 -f csv | sort');
      query('GET', `${forwards}/192.0.2.9?target=m2`);
      query('GET', `${forwards}/192.0.2.9`);
      query('GET', `${forwards}/192.0.2.9?target=m1`, undefined, 2);
      query('PUT', `${forwards}/192.0.2.9?target=m3`, { config: { target_address: '10.77.8.6' } });
      for (const cluster of pair.both) {
        must(cluster.member(2), 'nft list ruleset | grep -q "daddr 192.0.2.9 dnat ip to 10.77.8.5"');
        must(cluster.member(3), 'nft list ruleset | grep -q "daddr 192.0.2.9 dnat ip to 10.77.8.6"');
        must(cluster.member(1), '! nft list ruleset | grep -q 192.0.2.9');
      }
      query('DELETE', `${forwards}/192.0.2.9?target=m2`, undefined, 3);
      query('DELETE', `${forwards}/192.0.2.9`, undefined, 3);
      everywhere('lxc network forward list cr-br0 -f csv');
    });

    it('are filtered by the same lists on every member', () => {
      pair.same('lxc network acl create cra && lxc network set cr-br0 security.acls=cra', 2);
      pair.same('lxc network acl rule add cra egress action=drop destination=198.51.100.0/24', 3);
      everywhere('lxc network acl show cra');
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), 'nft list ruleset | grep -q "ip daddr 198.51.100.0/24 drop"');
      pair.same('lxc network unset cr-br0 security.acls && lxc network acl delete cra', 1);
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), '! nft list ruleset | grep -q 198.51.100');
    });

    it('are deleted on every member', () => {
      pair.same('lxc network delete cr-br0', 1);
      pair.same('lxc network delete cr-br0', 2);
      for (const cluster of pair.both) for (const index of members) must(cluster.member(index), '! ip link show cr-br0 2>/dev/null');
    });
  });

  it('networks of other types have a link of each member', () => {
    const config = { parent: 'eth0' };
    query('POST', networks, { name: 'cr-mv', type: 'macvlan', config });
    query('POST', `${networks}?target=m1`, { name: 'cr-mv', type: 'macvlan', config: { ...config, mtu: '1400' } });
    query('POST', `${networks}?target=m1`, { name: 'cr-mv', type: 'macvlan', config });
    query('POST', `${networks}?target=m2`, { name: 'cr-mv', type: 'sriov', config });
    query('POST', `${networks}?target=m2`, { name: 'cr-mv', type: 'macvlan', config });
    query('POST', `${networks}?target=m3`, { name: 'cr-mv', type: 'macvlan', config: { parent: 'lo' } });
    query('POST', networks, { name: 'cr-mv', type: 'macvlan', config });
    query('POST', networks, { name: 'cr-mv', type: 'macvlan', config: { mtu: '1400' } });
    everywhere('lxc network list -f csv | grep cr-mv');
    for (const target of ['', '?target=m1', '?target=m3']) query('GET', `${networks}/cr-mv${target}`, undefined, 2);
    query('PATCH', `${networks}/cr-mv?target=m3`, { config: { parent: 'eth0' } });
    query('PATCH', `${networks}/cr-mv`, { config: { parent: 'eth0' } });
    query('PATCH', `${networks}/cr-mv`, { config: { 'user.x': 'y' } });
    query('GET', `${networks}/cr-mv?target=m3`);
    pair.same('lxc network delete cr-mv', 2);
  });

  describe('images', () => {
    const copies = (): number[] => pair.both.map((cluster) => members.filter((index) => cluster.member(index).run('ls $LXD_DIR/images | grep -q .').code === 0).length);

    it('have as many copies as asked for, and go everywhere', async () => {
      await expect.poll(copies, { timeout: 20_000 }).toEqual([3, 3]);
      pair.same('lxc config set cluster.images_minimal_replica 0', 2);
      pair.same('lxc config set cluster.images_minimal_replica 1', 2);
      pair.must('lxc image export bb $HOME/exported -q', 3);
      pair.same('lxc image delete bb', 2);
      await expect.poll(copies, { timeout: 20_000 }).toEqual([0, 0]);
    });

    it('are fetched by the member that uses them', async () => {
      pair.must('lxc image import $HOME/exported* --alias bb -q', 3);
      await expect.poll(copies, { timeout: 20_000 }).toEqual([1, 1]);
      pair.same('lxc image list -f csv -c lt', 1);
      pair.must('lxc init bb i1 --target m1', 2);
      expect(copies()).toEqual([2, 2]);
      pair.must('lxc delete i1; lxc image export bb $HOME/again -q', 2);
      pair.must('lxc config set cluster.images_minimal_replica 3');
    });
  });

  it('say what a member that joins would be asked', () => { pair.same('lxc query /1.0/cluster | jq -cS .member_config', 2); });
});
