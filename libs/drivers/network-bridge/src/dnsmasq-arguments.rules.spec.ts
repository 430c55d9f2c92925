import { describe, expect, it } from 'vitest';
import { dnsmasqArguments } from './dnsmasq-arguments.rules.js';

const files = { leases: '/n/dnsmasq.leases', hosts: '/n/dnsmasq.hosts', raw: '/n/dnsmasq.raw' };
const argumentsOf = (config: Record<string, string>): string => (dnsmasqArguments({ name: 'br0', type: 'bridge', config }, files) ?? []).join(' ');

describe('dnsmasqArguments', () => {
  it('asks for nothing without an address', () => {
    expect(dnsmasqArguments({ name: 'br0', type: 'bridge', config: { 'ipv4.address': 'none' } }, files)).toBeNull();
  });

  it('serves the whole subnet and router advertisements by default', () => {
    const line = argumentsOf({ 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'fd42::1/64' });

    expect(line).toContain('--dhcp-range 10.1.2.2,10.1.2.254,1h');
    expect(line).toContain('--dhcp-range ::,constructor:br0,ra-stateless,ra-names');
    expect(line).toContain('-s lxd --interface-name _gateway.lxd,br0 -S /lxd/');
    expect(line).not.toContain('option-force');
  });

  it('follows ranges, expiry, gateway, MTU and search list', () => {
    const line = argumentsOf({
      'ipv4.address': '10.1.2.1/24', 'ipv4.dhcp.ranges': '10.1.2.10-10.1.2.20, 10.1.2.30-10.1.2.40', 'ipv4.dhcp.expiry': '3h', 'ipv4.dhcp.gateway': '10.1.2.254',
      'bridge.mtu': '1400', 'dns.search': 'a.b,c.d', 'dns.domain': 'example.net',
      'ipv6.address': 'fd55::1/64', 'ipv6.dhcp.stateful': 'true', 'ipv6.dhcp.expiry': '2h',
    });

    expect(line).toContain('--dhcp-option-force=3,10.1.2.254 --dhcp-option-force=26,1400 --dhcp-option-force=119,a.b,c.d');
    expect(line).toContain('--dhcp-range 10.1.2.10,10.1.2.20,3h --dhcp-range 10.1.2.30,10.1.2.40,3h');
    expect(line).toContain('--dhcp-range fd55::2,fd55::ffff:ffff:ffff:ffff,64,2h');
    expect(line).toContain('-s example.net');
    expect(argumentsOf({ 'ipv6.address': 'fd55::1/64', 'ipv6.dhcp.stateful': 'true', 'ipv6.dhcp.ranges': 'fd55::10-fd55::20' })).toContain('--dhcp-range fd55::10,fd55::20,64,1h');
  });

  it('leaves out DHCP and names where they are off', () => {
    const line = argumentsOf({ 'ipv4.address': '10.1.2.1/24', 'ipv4.dhcp': 'false', 'ipv6.address': 'fd55::1/64', 'ipv6.dhcp': 'false', 'dns.mode': 'none' });

    expect(line).not.toContain('leasefile');
    expect(line).toContain('--dhcp-range ::,constructor:br0,ra-only');
    expect(line).not.toContain('_gateway');
  });
});
