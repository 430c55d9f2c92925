import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { Pair } from '../support/pair.js';

/** Managed networks that are links of the host instead of bridges, and instances on them, beside real LXD. */
const pair = new Pair();
const [near, far, routed, room] = ['cntp-a', 'cntp-b', 'cntp-c', 'cntp-room'];

beforeAll(async () => {
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
  ip('link', 'set', near, 'up');
  ip('link', 'set', far, 'up');
  // Somebody in the network of another link.
  ip('netns', 'add', room);
  ip('link', 'add', routed, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', room);
  ip('link', 'set', routed, 'up');
  ip('-n', room, 'address', 'add', '10.135.90.9/24', 'dev', 'eth0');
  ip('-n', room, 'link', 'set', 'eth0', 'up');
  writeFileSync(`/proc/sys/net/ipv4/conf/${routed}/forwarding`, '1');
  await pair.start();
  pair.prepare();
});
afterAll(async () => {
  await pair.destroy();
  ip('link', 'delete', near);
  ip('link', 'delete', routed);
  ip('netns', 'delete', room);
});

function ip(...args: string[]): void {
  spawnSync('ip', args);
}

// Where LXD keeps whether it made a link, ours says it by the link itself.
const options: CompareOptions = { normalise: (text) => text.replace(/\n +volatile\.last_state\.created: "false"/, '') };

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

lines('the life of each type', `
  lxc network create mv --type=macvlan
  lxc network create mv --type=macvlan parent=x
  lxc network create mv --type=macvlan parent=cntp-none
  lxc network create mv --type=macvlan parent=${near} mtu=1400 user.x=y
  lxc network create mv --type=macvlan parent=${near}
  lxc network create a_very_long_name_for_a_network --type=macvlan parent=${near} --description=long
  lxc network create ph --type=physical
  lxc network create ph --type=physical parent=cntp-none
  lxc network create ph --type=physical parent=${near}
  lxc network create ph --type=physical parent=${far}
  lxc network create ph2 --type=physical parent=${far}
  lxc network create ph2 --type=physical parent=${far} vlan=5
  lxc network create sr --type=sriov parent=${far}
  lxc network show mv
  lxc network show ph
  lxc network show sr
  lxc network list -f csv | grep -E '^(mv|ph|sr|a_)'
  lxc network info mv
  lxc network list-leases mv
  lxc query /1.0/networks/mv
  lxc query /1.0/networks/ph/state
  lxc query /1.0/networks/ph/leases
  lxc query /1.0/networks/mv/forwards
  lxc query -X POST /1.0/networks/mv/forwards -d '{"listen_address":"10.1.1.1"}'
  lxc query /1.0/networks/mv/forwards/10.1.1.1
  lxc query /1.0/networks/mv/peers
  lxc network rename a_very_long_name_for_a_network short
  lxc query -X POST /1.0/networks/short -d '{"name":"x:y"}'
  lxc query -X POST /1.0/networks/short -d '{"name":"x/y"}'
  lxc query -X POST /1.0/networks -d '{"name":"x:y","type":"macvlan","config":{"parent":"${near}"}}'
  lxc network show short
  lxc network delete short
  lxc project create ntp -c features.networks=true
  lxc network create mv --type=macvlan parent=${near} --project ntp
  lxc project delete ntp
`);

const refused = [
  'foo=bar', 'gvrp=foo', 'vlan=5000', 'vlan=x', 'mtu=12', 'parent=', 'ipv4.address=10.1.1.1/24', 'volatile.x=1', 'bridge.mtu=1400', 'security.acls=x',
];
const refusedOfUplinks = [
  'ipv4.gateway=10.1.1.0/24', 'ipv4.gateway=x', 'ipv4.gateway=fd00::1/64', 'ipv6.gateway=10.1.1.1/24', 'dns.nameservers=x', 'ovn.ingress_mode=x', 'ipv4.routes=10.0.0.1/24', 'ipv6.routes=x',
  'ipv4.routes.anycast=x', 'ipv4.ovn.ranges=x', `parent=${far}`, 'gvrp=x',
];
lines('refused values', [
  ...refused.map((setting) => `lxc network set mv ${setting}`), ...refusedOfUplinks.map((setting) => `lxc network set ph ${setting}`), 'lxc network set sr gvrp=true', 'lxc network set sr vlan=4095',
].join('\n'));

lines('changes', `
  lxc network set mv user.z=1
  lxc network unset mv user.z
  lxc network set ph ipv4.gateway=10.1.1.1/24 dns.nameservers=10.1.1.2,fd00::1 ipv4.routes=10.2.0.0/16 ovn.ingress_mode=routed
  lxc network set ph vlan=7
  printf 'config:\\n  parent: ${near}\\ndescription: hello\\n' | lxc network edit mv
  lxc network show mv
  lxc network show ph
`);

lines('NICs', `
  lxc profile device add default e0 nic network=mv nictype=macvlan
  lxc profile device add default e0 nic network=mv parent=xx
  lxc profile device add default e0 nic network=mv mtu=1400
  lxc profile device add default e0 nic network=mv vlan=3
  lxc profile device add default e0 nic network=mv gvrp=true
  lxc profile device add default e0 nic network=ph
  lxc profile device add default e0 nic network=sr security.mac_filtering=true
  lxc profile device remove default e0
  lxc network set mv mtu=1400
  lxc init bb c1
  lxc config device add c1 eth0 nic network=mv name=eth0
  lxc network show mv
  lxc network delete mv
  lxc network rename mv mv2
  lxc start c1
  lxc exec c1 -- sh -c 'ip link show eth0 | grep -o "mtu 1400\\|link/ether [0-9a-f:]*"'
  lxc query /1.0/instances/c1/state | grep -c '"eth0"'
  lxc config show c1 | grep -v -e volatile.uuid -e instance-id -e image. -e host_name -e idmap
  lxc config device remove c1 eth0
  lxc config device add c1 eth0 nic network=mv name=eth0
  lxc exec c1 -- sh -c 'ip link show eth0 | grep -o "mtu 1400"'
  lxc delete -f c1
  lxc network show mv
  lxc network delete mv
  lxc network delete ph
  lxc network delete sr
  lxc network list -f csv | grep -c -E '^(mv|ph|sr|a_)'
`);

lines('VLANs', `
  lxc init bb c2
  lxc config device add c2 eth0 nic nictype=routed parent=${routed} ipv4.address=10.135.90.8 vlan=5
  lxc start c2
  lxc config device remove c2 eth0
  lxc config device add c2 eth0 nic nictype=macvlan parent=${near} vlan=5
  lxc start c2
  lxc config device set c2 eth0 gvrp=true
  lxc start c2
  lxc config device remove c2 eth0
  lxc config device add c2 eth0 nic nictype=physical parent=${near} vlan=5
  lxc start c2
  lxc config device remove c2 eth0
`);

// LXD asks only where the parent has an address of its own, and for a time that a busy host may exceed.
describe('addresses in use', () => {
  const run = (line: string): string => { const { stdout, stderr } = pair.roost.run(line); return stdout + stderr; };

  it('keep a routed NIC from starting, unless told not to look', () => {
    run(`lxc config device add c2 eth0 nic nictype=routed parent=${routed} ipv4.address=10.135.90.8,10.135.90.9`);
    expect(run('lxc start c2')).toContain(`Failed to start device "eth0": IP address "10.135.90.9" in use on parent network "${routed}"`);
    run('lxc config device set c2 eth0 ipv4.neighbor_probe=false');
    expect(run('lxc start c2')).toBe('');
    const routes = spawnSync('ip', ['route'], { encoding: 'utf8' }).stdout;
    for (const address of ['10.135.90.8', '10.135.90.9']) expect(routes).toMatch(new RegExp(`^${address} dev veth`, 'm'));
  });
});
