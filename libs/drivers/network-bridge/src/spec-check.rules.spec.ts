import { describe, expect, it } from 'vitest';
import { checkNetworkSpec, checkStaticLease } from './spec-check.rules.js';

const check = (name: string, config: Record<string, string> = {}) => () => checkNetworkSpec({ name, type: 'bridge', config });

describe('checkNetworkSpec', () => {
  it.each(['..', 'a/b', 'a', 'br0\nnetns exec', 'abcdefghijklmnop'])('refuses the name %j', (name) => {
    expect(check(name)).toThrow('Invalid network name');
  });

  it.each<Record<string, string>>([
    { 'ipv4.address': '10.0.0.1/24\nnetns exec x sh' }, { 'ipv6.nat.address': 'fd42::1; flush ruleset' }, { 'dns.domain': 'a"b' }, { 'bridge.external_interfaces': 'eth1, ..' },
    { 'raw.dnsmasq': 'log-queries\n dhcp-script=/bin/sh' }, { 'raw.dnsmasq': 'conf-file = /etc/shadow' },
  ])('refuses %j', (config) => {
    expect(check('br0', config)).toThrow();
  });

  it('takes what networks have', () => {
    expect(check('lxd.br-0', { 'ipv4.address': '10.0.0.1/24', 'ipv4.dhcp.ranges': '10.0.0.2-10.0.0.9, 10.0.0.20-10.0.0.30', 'raw.dnsmasq': 'log-queries\naddress=/x/10.0.0.1', 'user.x': '"\n' })).not.toThrow();
  });
});

describe('checkStaticLease', () => {
  const lease = { project: 'default', instance: 'c1', device: 'eth0', hwaddr: '00:16:3e:00:00:01', ipv4Address: '', ipv6Address: '' };

  it('refuses what would add a line or leave the directory', () => {
    expect(() => checkStaticLease(lease)).not.toThrow();
    expect(() => checkStaticLease({ ...lease, instance: '../x' })).toThrow('Invalid lease');
    expect(() => checkStaticLease({ ...lease, device: 'a\nb' })).toThrow('Invalid lease');
    expect(() => checkStaticLease({ ...lease, ipv4Address: '10.0.0.1\n00:16:3e:00:00:02' })).toThrow('Invalid lease');
  });
});
