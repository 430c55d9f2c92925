import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { Pair } from '../support/pair.js';

/** `lxc network` against Roost and real LXD: the same words for the same requests, refusals above all. Bridges have names of their own on each. */
const pair = new Pair();
const names = { roost: { BR: 'cnbr-r', BR2: 'cnbs-r', SUBNET: '10.98.74' }, lxd: { BR: 'cnbr-l', BR2: 'cnbs-l', SUBNET: '10.98.75' } } as const;

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
  lxc query '/1.0/networks?project=nope'
  lxc query /1.0/network-acls
  lxc query /1.0/network-zones
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
