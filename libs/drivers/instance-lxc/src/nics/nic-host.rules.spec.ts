import { describe, expect, it } from 'vitest';
import { ipvlanSettings, nicHostPlan, probedAddresses, routedGateway } from './nic-host.rules.js';

describe('nicHostPlan', () => {
  it('routes by the bridge, or by the link alone', () => {
    const config = { 'ipv4.routes': '10.1.0.0/24, 10.2.0.0/24', 'ipv6.routes.external': 'fd42::/64' };
    const subnets = (kind: string) => nicHostPlan(kind, config, 'veth1', 'br0').routes.map(({ subnet, link, outlives }) => `${subnet} ${link} ${outlives}`);

    expect(subnets('bridged')).toEqual(['10.1.0.0/24 br0 true', '10.2.0.0/24 br0 true', 'fd42::/64 br0 true']);
    expect(subnets('p2p')).toEqual(['10.1.0.0/24 veth1 false', '10.2.0.0/24 veth1 false']);
    expect(subnets('macvlan')).toEqual([]);
  });

  it('answers for a routed NIC on the link it is reached by', () => {
    const plan = nicHostPlan('routed', { 'ipv4.address': '10.1.0.9', 'ipv4.routes': '10.3.0.0/24', 'ipv4.host_table': '100', 'ipv6.address': 'fd42::9', 'ipv6.host_address': 'fe80::7' }, 'veth1', 'eth0');

    expect(plan.addresses).toEqual(['169.254.0.1/32', 'fe80::7/128']);
    expect(plan.routes.map(({ subnet, via, table }) => [subnet, via, table].join(' '))).toEqual(['10.1.0.9/32  ', '10.1.0.9/32  100', '10.3.0.0/24 10.1.0.9 ', 'fd42::9/128  ']);
    expect(plan.proxied).toEqual([{ address: '10.1.0.9', link: 'eth0' }, { address: 'fd42::9', link: 'eth0' }]);
    expect(plan.sysctls).toEqual([['ipv4/conf/veth1/forwarding', '1'], ['ipv6/conf/veth1/forwarding', '1'], ['ipv6/conf/veth1/accept_ra', '0'], ['ipv6/conf/eth0/proxy_ndp', '1']]);
    expect(nicHostPlan('routed', { 'ipv4.address': '10.1.0.9' }, 'veth1', '').proxied).toEqual([]);
  });

  it('takes the address and the tables it is told', () => {
    const plan = nicHostPlan('routed', { 'ipv4.address': '10.1.0.9', 'ipv4.host_address': '10.9.0.1', 'ipv6.address': 'fd42::9', 'ipv6.host_table': '200', 'ipv6.routes': 'fd43::/64' }, 'veth1', 'eth0');

    expect(plan.addresses).toEqual(['10.9.0.1/32', 'fe80::1/128']);
    expect(plan.routes.map(({ subnet, via, table }) => [subnet, via, table].join(' '))).toEqual(['10.1.0.9/32  ', 'fd42::9/128  ', 'fd42::9/128  200', 'fd43::/64 fd42::9 ']);
    expect(routedGateway({ 'ipv4.address': '10.1.0.9', 'ipv4.host_address': '10.9.0.1' }, 4)).toBe('10.9.0.1');
  });

  it('puts addresses of an ipvlan NIC into the table asked for', () => {
    const config = { 'ipv4.address': '10.1.0.9, 10.1.0.10/24', 'ipv4.host_table': '100', 'ipv6.address': 'fd42::9' };

    expect(nicHostPlan('ipvlan', config, '', 'eth0').routes.map(({ subnet, link, table, outlives }) => [subnet, link, table, outlives].join(' '))).toEqual(['10.1.0.9/32 lo 100 true', '10.1.0.10/32 lo 100 true']);
    expect(nicHostPlan('ipvlan', { 'ipv6.address': 'fd42::9', 'ipv6.host_table': '7' }, '', 'eth0').routes.map(({ subnet, link, table }) => [subnet, link, table].join(' '))).toEqual(['fd42::9/128 lo 7']);
    expect(ipvlanSettings(config, 'eth0')).toEqual(['ipv4.conf.eth0.forwarding', 'ipv6.conf.eth0.forwarding', 'ipv6.conf.eth0.proxy_ndp']);
    expect(ipvlanSettings({ ...config, mode: 'l2' }, 'eth0')).toEqual([]);
  });

  it('asks who has a routed NIC\'s addresses, unless told not to', () => {
    const config = { 'ipv4.address': '10.1.0.9, 10.1.0.10', 'ipv6.address': 'fd42::9' };

    expect(probedAddresses(config)).toEqual(['10.1.0.9', '10.1.0.10', 'fd42::9']);
    expect(probedAddresses({ ...config, 'ipv4.neighbor_probe': 'false' })).toEqual(['fd42::9']);
    expect(probedAddresses({ ...config, 'ipv6.neighbor_probe': 'no' })).toEqual(['10.1.0.9', '10.1.0.10']);
  });

  it('gives a gateway only where there is an address', () => {
    expect([routedGateway({}, 4), routedGateway({ 'ipv4.address': '10.1.0.9' }, 4), routedGateway({ 'ipv4.address': '10.1.0.9', 'ipv4.gateway': 'none' }, 4)]).toEqual(['', '169.254.0.1', '']);
  });
});
