import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { Pair } from '../support/pair.js';

/** `lxc network` against Roost and real LXD: the same words for the same requests, refusals above all. Bridges have names of their own on each. */
const pair = new Pair();
const names = { roost: { BR: 'cnbr-r', BR2: 'cnbs-r', SUBNET: '10.98.74', OTHER: '10.98.76', SUBNET6: 'fd42:98:74:1' }, lxd: { BR: 'cnbr-l', BR2: 'cnbs-l', SUBNET: '10.98.75', OTHER: '10.98.77', SUBNET6: 'fd42:98:75:1' } } as const;

beforeAll(() => pair.start());
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replaceAll(/cnb(r|s)-[rl]/g, '<br$1>'),
  env: (target) => names[target.kind],
};

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

lines('the life of a bridge', `
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none
  lxc network create $BR
  lxc network show $BR
  lxc network get $BR ipv4.address
  lxc network get $BR nope
  lxc network set $BR user.x=y
  lxc network set $BR ipv4.nat true
  lxc network unset $BR user.x
  lxc network show $BR
  printf 'config:\\n  ipv4.address: '$SUBNET.129/25'\\ndescription: hello\\n' | lxc network edit $BR
  lxc network show $BR
  lxc network info $BR | grep -v -e Bytes -e Packets -e ' ID:' -e inet6
  lxc network list-leases $BR
  lxc network rename $BR $BR2
  lxc network rename $BR $BR2
  lxc network show $BR
  lxc query /1.0/networks/$BR2/leases
  lxc profile device add default eth7 nic network=$BR2
  lxc network show $BR2
  lxc network delete $BR2
  lxc network rename $BR2 $BR
  lxc profile device remove default eth7
  lxc network delete $BR2
  lxc network delete $BR2
`);

const refused = [
  'foo=1', 'ipv4.address=foo', 'ipv4.address=10.0.0.1', 'ipv4.address=10.0.0.0/24', 'ipv4.address=fd00::1/64', 'ipv6.address=10.0.0.1/24', 'ipv6.address=fd00::/64',
  'ipv4.nat=foo', 'ipv4.nat.order=foo', 'ipv4.nat.address=foo', 'ipv6.nat.address=10.0.0.1', 'ipv4.routes=10.0.0.1/24', 'ipv4.routes=fd00::/64', 'ipv6.routes=x',
  'ipv4.dhcp.ranges=foo', 'ipv4.dhcp.ranges=10.0.0.1-foo', 'ipv4.dhcp.gateway=foo', 'ipv4.dhcp=foo', 'ipv6.dhcp.stateful=foo', 'ipv4.ovn.ranges=10.0.0.3-10.0.0.5',
  'dns.mode=foo', 'dns.zone.forward=foo', 'bridge.driver=foo', 'bridge.mode=foo', 'bridge.hwaddr=foo', 'bridge.mtu=foo', 'bridge.mtu=67', 'bridge.external_interfaces="a b"',
  'bridge.external_interfaces=,', 'security.acls=foo', 'security.acls.default.egress.action=foo', 'security.acls.default.egress.logged=foo', 'tunnel.a=foo',
  'tunnel.a.protocol=foo', 'tunnel.a.foo=x', 'tunnel.a.id=x', 'tunnel.a.local=x', 'tunnel.a.port=x', 'tunnel.a.port=70000', 'tunnel.a.ttl=300', 'tunnel.abcdefghijkl.protocol=vxlan',
  'tunnel.a.interface="x y"', 'fan.type=x', 'fan.type=vxlan', 'fan.overlay_subnet=x', 'bgp.ipv4.nexthop=x', 'bgp.peers.a.foo=x', 'volatile.x=y', 'user=x', 'raw.dnsmasq=no-such-option',
  'ipv4.dhcp.expiry=foo',
];
// LXD finds no free subnet where everything answers its ping: the address is given.
lines('refused values', refused.map((setting) => `lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none ${setting}`).join('\n'));

lines('refused names and requests', `
  lxc network create 'a b'
  lxc network create a
  lxc network create abcdefghijklmnopq
  lxc network create lo ipv4.address=none ipv6.address=none
  lxc network create $BR --type=foo
  lxc network show nope
  lxc network info nope
  lxc network edit nope </dev/null
  lxc network set nope a=b
  lxc network delete nope
  lxc network delete lo
  lxc network rename lo $BR
  lxc network show lo
  lxc network list-leases lo
  lxc network list-leases nope
  lxc network list --project nope
  lxc query /1.0/networks/nope
  lxc query /1.0/networks/nope/forwards
  lxc network forward create nope 1.2.3.4
  lxc query '/1.0/networks?project=nope'
  lxc query /1.0/network-acls
  lxc query /1.0/network-zones
`);

const port = 'lxc network forward port add $BR 192.0.2.10';
lines('forwards', `
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=$SUBNET6::1/64
  lxc query /1.0/networks/$BR/forwards | jq -c sort
  lxc network forward create $BR foo
  lxc network forward create $BR 192.0.2.10/32
  lxc network forward create $BR 192.0.2.10 foo=bar
  lxc network forward create $BR 192.0.2.10 target_address=x
  lxc network forward create $BR 192.0.2.10 target_address=$SUBNET6::5
  lxc network forward create $BR 192.0.2.10 target_address=10.1.2.3
  lxc network forward create $BR 192.0.2.10 target_address=$SUBNET.5 user.x=y
  lxc network forward create $BR 192.0.2.10
  lxc network forward create $BR $SUBNET.1
  lxc network forward create $BR fd00:0::78 target_address=$SUBNET6::0:5
  lxc network forward list $BR
  ${port} foo 80 $SUBNET.6
  ${port} tcp x $SUBNET.6
  ${port} tcp 80 x
  ${port} tcp 80 $SUBNET.5
  ${port} tcp 80 10.1.1.1
  ${port} tcp 80 $SUBNET6::5
  ${port} tcp 80-82,90 $SUBNET.6
  ${port} tcp 81 $SUBNET.7
  ${port} udp 53 $SUBNET.7 5353
  ${port} tcp 100,101 $SUBNET.7 200,201,202
  ${port} tcp 100,101 $SUBNET.7 x
  ${port} tcp 100,101 $SUBNET.7 200,201
  ${port} tcp 103-105 $SUBNET.7 80
  ${port} tcp 106-105 $SUBNET.7 80
  ${port} tcp 1-2-3 $SUBNET.7 80
  lxc network forward show $BR 192.0.2.10
  lxc network forward show $BR fd00::78
  lxc query "/1.0/networks/$BR/forwards?recursion=1" | jq -cS 'sort_by(.listen_address)'
  lxc query /1.0/networks/$BR/forwards | jq -c sort
  lxc network forward port remove $BR 192.0.2.10 udp
  lxc network forward port remove $BR 192.0.2.10 tcp
  lxc network forward set $BR 192.0.2.10 user.z=1
  lxc network forward get $BR 192.0.2.10 user.z
  lxc network forward set $BR 192.0.2.10 foo=1
  lxc network forward show $BR 192.0.2.11
  lxc network forward delete $BR 192.0.2.11
  lxc network set $BR ipv4.address=10.200.1.1/24 2>/dev/null
  lxc query -X PUT /1.0/networks/$BR/forwards/192.0.2.10 -d '{"description":" hi "}'
  lxc query /1.0/networks/$BR/forwards/192.0.2.10
  lxc network forward delete $BR 192.0.2.10
  lxc network forward list $BR -f csv
  lxc network create $BR2 ipv4.address=$OTHER.1/24 ipv6.address=none
  lxc network forward create $BR2 $SUBNET.9
  lxc network forward create $BR2 fd00::78
  lxc network forward create $BR2 203.0.113.7
  lxc network forward list $BR2 -f csv
  lxc network delete $BR2
  lxc network delete $BR
`);

const rule = 'lxc network acl rule add a1';
const refusedRules = [
  '', 'action=foo', 'action=allow state=foo', 'action=allow source=foo', 'action=allow source=10.0.0.1/33', 'action=allow source=10.0.0.9-10.0.0.1', 'action=allow source=10.0.0.9-fd00::1',
  'action=allow source=10.0.0.9-x', 'action=allow destination=@internal', 'action=allow destination=a1', 'action=allow source=10.0.0.1 destination=fd00::1', 'action=allow protocol=foo',
  'action=allow protocol=tcp icmp_type=3', 'action=allow protocol=tcp icmp_code=3', 'action=allow icmp_code=3', 'action=allow icmp_type=3', 'action=allow source_port=3',
  'action=allow destination_port=3', 'action=allow protocol=icmp4 source_port=3', 'action=allow protocol=icmp4 destination_port=3', 'action=allow protocol=icmp4 source=fd00::1',
  'action=allow protocol=icmp6 source=10.0.0.1', 'action=allow protocol=icmp4 destination=fd00::1', 'action=allow protocol=icmp6 icmp_type=300', 'action=allow protocol=icmp6 icmp_type=3 icmp_code=x',
  'action=allow protocol=tcp source_port=x', 'action=allow protocol=tcp source_port=9-3', 'action=allow protocol=tcp destination_port=3,', 'action=allow protocol=tcp destination_port=3-4-5',
];
lines('access lists', `
  lxc network acl create a_b
  lxc network acl create 1a
  lxc network acl create a-
  lxc network acl create @a
  lxc network acl create '#a'
  lxc query -X POST /1.0/network-acls -d '{}'
  lxc network acl create a1 foo=bar
  lxc network acl create a1 user.x=y
  lxc network acl create a1
  lxc network acl show a1
  lxc network acl list
  lxc network acl get a1 user.x
  lxc network acl set a1 foo bar
  lxc network acl unset a1 user.x
  ${refusedRules.map((one) => `${rule} ingress ${one}`).join('\n')}
  ${rule} egress action=allow source=a1
  ${rule} ingress action=allow source=@internal
  ${rule} ingress action=allow source=a1
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none security.acls=a1,nope
  lxc network acl rule remove a1 ingress action=allow
  lxc network acl rule remove a1 ingress action=foo
  lxc network acl rule remove a1 ingress action=allow --force
  ${rule} ingress action=allow protocol=tcp 'destination_port= 80, 443-445' source=10.0.0.0/24,10.1.1.1-10.1.1.9 description=web
  ${rule} ingress action=allow protocol=tcp destination_port=80,443-445 source=10.0.0.0/24,10.1.1.1-10.1.1.9 description=web
  ${rule} ingress action=drop source=10.9.9.9/24,fd00::/64 state=logged
  ${rule} ingress action=reject protocol=icmp4
  ${rule} ingress action=allow protocol=icmp6 icmp_type=128 icmp_code=0
  ${rule} egress action=allow destination=10.0.0.0/8 state=disabled
  ${rule} egress action=allow protocol=udp destination_port=53
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none security.acls=a1
  lxc network set $BR security.acls=a1,nope
  lxc network set $BR security.acls=a1,a1
  lxc network acl show a1
  lxc network acl list -f csv
  lxc query '/1.0/network-acls?recursion=1'
  lxc query /1.0/network-acls
  lxc network acl delete a1
  lxc network acl rename a1 a2
  lxc network acl show-log a1
  ${rule} ingress action=allow source=@internal
  lxc network set $BR security.acls.default.ingress.action=allow security.acls.default.egress.logged=true
  lxc query -X PUT /1.0/network-acls/a1 -d '{"ingress":[{"action":"allow"}]}'
  lxc query -X PUT /1.0/network-acls/a1 -d '{"description":"hello","egress":[{"action":"drop","state":"enabled","destination":" 10.0.0.0/8 , 10.1.0.1 "}]}'
  lxc query /1.0/network-acls/a1
  lxc network unset $BR security.acls
  lxc network acl rename a1 a2
  lxc network acl rename a2 b_b
  lxc query -X POST /1.0/network-acls/a2 -d '{}'
  lxc network acl create a1
  ${rule} ingress action=allow source=a2
  lxc network acl show a2
  lxc network acl list -f csv
  lxc network acl delete a2
  lxc network acl rename a2 a5
  lxc network acl rule remove a1 ingress source=a2
  lxc network acl rename a2 a1
  lxc network acl delete a1
  lxc network acl delete a1
  lxc network acl show a1
  lxc network acl rename a1 a3
  lxc network acl show-log a1
  lxc query -X PUT /1.0/network-acls/a1 -d '{}'
  lxc network acl delete a2
  lxc network delete $BR
  lxc project create own -c features.networks=true
  lxc network acl create pa --project own
  lxc network acl list --project own
  lxc network acl list
  lxc network acl delete pa --project own
  lxc project delete own
`);

lines('what restricted projects see', `
  lxc project create own -c features.images=false -c restricted=true
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none
  lxc network create $BR2 ipv4.address=$OTHER.1/24 ipv6.address=none --project own
  lxc network list --project own -f csv | grep -c -E '^(lo|eth0),'
  lxc network list --project own -f csv | grep -E '^cnb(r|s)-'
  lxc network show lo --project own
  lxc network info lo --project own
  lxc project set own restricted.networks.access=$BR
  lxc network list --project own -f csv | grep -E '^cnb(r|s)-'
  lxc network show $BR2 --project own
  lxc network info $BR2 --project own
  lxc network set $BR2 user.x=y --project own
  lxc query -X PATCH "/1.0/networks/$BR2?project=own" -d '{"config":{"user.x":"y"}}'
  lxc network list-leases $BR2 --project own
  lxc network delete $BR2 --project own
  lxc network rename $BR2 cnbx --project own
  lxc network forward list $BR --project own
  lxc network forward list $BR2 --project own
  lxc network forward create $BR2 1.2.3.4 --project own
  lxc query "/1.0/networks/$BR2/peers?project=own"
  lxc project set own restricted.devices.nic=allow
  lxc network show lo --project own
  lxc project unset own restricted.networks.access
  lxc network show lo --project own
  lxc project set own restricted.devices.nic=block
  lxc network list --project own -f csv
  lxc network show $BR --project own
  lxc network create cnbx --project own ipv4.address=none ipv6.address=none
  lxc project set own restricted=false
  lxc network show $BR --project own
  lxc project set own limits.networks=x
  lxc project set own limits.networks=0
  lxc project set own restricted.networks.uplinks=x,y
  lxc project set own restricted.networks.subnets=x
  lxc project set own restricted.networks.subnets=x:10.0.0.0/24
  lxc project set own restricted.networks.subnets=$BR:10.0.0.0/24
  lxc project set own restricted.networks.subnets=$BR:10.0.0.1/24
  lxc project set own restricted.networks.subnets=$BR:x
  lxc network set $BR ipv4.routes=10.45.0.0/16
  lxc project set own restricted.networks.subnets=$BR:10.45.3.0/24
  lxc project show own
  lxc network delete $BR2
  lxc network delete $BR
  lxc project delete own
  lxc project create own -c features.networks=true
  lxc network acl create pa --project own
  lxc project show own
  lxc project delete own
`);

lines('projects', `
  lxc project create shared -c features.networks=false
  lxc project create own -c features.networks=true
  lxc network create $BR ipv4.address=$SUBNET.1/24 ipv6.address=none --project shared
  lxc network show $BR
  lxc network show $BR --project own
  lxc network list --project own
  lxc network create $BR2 --type=bridge --project own
  lxc network list-leases $BR
  lxc network list-leases $BR --project shared
  lxc network delete $BR --project shared
  lxc project delete own
  lxc project delete shared
`);
