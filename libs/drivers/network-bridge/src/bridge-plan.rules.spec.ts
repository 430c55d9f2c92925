import { expect, it } from 'vitest';
import { planBridge } from './bridge-plan.rules.js';

const plan = (config: Record<string, string>): ReturnType<typeof planBridge> => planBridge({ name: 'br0', type: 'bridge', config });

it('has defaults', () => {
  expect(plan({ 'ipv4.address': 'none' })).toEqual({
    name: 'br0', hwaddr: '', mtu: 1500, ipv4: '', ipv6: '', ipv4Routing: true, ipv6Routing: true, routes: [], externalInterfaces: [], tunnels: [],
  });
});

it('lowers the MTU for tunnels and knows what they lack', () => {
  const { mtu, tunnels } = plan({ 'tunnel.a.protocol': 'vxlan', 'tunnel.b.protocol': 'gre', 'tunnel.c.protocol': 'vxlan', 'tunnel.c.local': '192.0.2.1', 'tunnel.c.remote': '192.0.2.2', 'tunnel.c.id': '7' });

  expect(mtu).toBe(1400);
  expect(tunnels).toEqual([
    { name: 'br0-a', protocol: 'vxlan', local: '', remote: '', id: 1, group: '239.0.0.1', parent: '', ttl: '1', port: 0 },
    { name: 'br0-c', protocol: 'vxlan', local: '192.0.2.1', remote: '192.0.2.2', id: 7, group: '', parent: '', ttl: '1', port: 0 },
  ]);
});

it('routes for neither family where that is off', () => {
  expect(plan({ 'ipv4.address': '10.1.2.1/24', 'ipv4.routing': 'false', 'ipv6.routing': 'false' })).toMatchObject({ ipv4Routing: false, ipv6Routing: false });
});

it('routes only where the family has an address', () => {
  expect(plan({ 'ipv4.address': '10.1.2.1/24', 'ipv4.routes': '10.2.0.0/24', 'ipv6.routes': 'fd00::/64' }).routes).toEqual(['10.2.0.0/24']);
});
