import { describe, expect, it } from 'vitest';
import { foreignDropWarnings } from './foreign-drops.js';
import { chainComment, networkChains } from './network-rules.js';
import { ipv6Hex, nicChains } from './nic-filter-rules.js';
import { forwardChains, ranges } from './proxy-forward-rules.js';

const chainsOf = (config: Record<string, string>): Record<string, readonly string[]> =>
  Object.fromEntries(networkChains({ name: 'br0', type: 'bridge', config }).map(({ name, rules }) => [name, rules]));

describe('networkChains', () => {
  it('has all four for a network with NAT', () => {
    const chains = chainsOf({ 'ipv4.address': '10.1.2.1/24', 'ipv4.nat': 'true' });

    expect(Object.keys(chains)).toEqual(['pstrt.br0', 'fwd.br0', 'in.br0', 'out.br0']);
    expect(chains['pstrt.br0']).toEqual(['ip saddr 10.1.2.1/24 ip daddr != 10.1.2.1/24 masquerade']);
    expect(chains['fwd.br0']).toEqual(['ip version 4 oifname "br0" accept', 'ip version 4 iifname "br0" accept']);
  });

  it('rejects where routing is off, and leaves the filter out where the firewall is', () => {
    expect(chainsOf({ 'ipv6.address': 'fd42::1/64', 'ipv6.routing': 'false' })['fwd.br0']).toEqual([
      'ip6 version 6 oifname "br0" reject with icmpv6 port-unreachable', 'ip6 version 6 iifname "br0" reject with icmpv6 port-unreachable',
    ]);
    expect(chainsOf({ 'ipv4.address': '10.1.2.1/24', 'ipv4.firewall': 'false' })).toEqual({});
    expect(chainsOf({ 'ipv6.address': 'fd42::1/64', 'ipv6.firewall': 'false' })).toEqual({});
    expect(chainsOf({ 'ipv4.address': '10.1.2.1/24', 'ipv4.routing': 'false' })['fwd.br0']).toEqual([
      'ip version 4 oifname "br0" reject with icmp port-unreachable', 'ip version 4 iifname "br0" reject with icmp port-unreachable',
    ]);
  });

  it('translates to a given address', () => {
    expect(chainsOf({ 'ipv6.address': 'fd42::1/64', 'ipv6.nat': 'true', 'ipv6.nat.address': 'fd99::1' })['pstrt.br0']).toEqual([
      'ip6 saddr fd42::1/64 ip6 daddr != fd42::1/64 snat ip6 to fd99::1',
    ]);
  });

  it('marks chains by owner and content', () => {
    const chain = { name: 'fwd.br0', hook: 'h', rules: ['a'] };
    expect(chainComment('0123', chain)).toMatch(/^roost 0123 [0-9a-f]{16}$/);
    expect(chainComment('0123', { ...chain, rules: ['b'] })).not.toBe(chainComment('0123', chain));
  });
});

describe('nicChains', () => {
  it('lets a NIC speak only as itself', () => {
    const [input, forward] = nicChains({ instance: 'c1', device: 'eth0', hostName: 'veth1', hwaddr: '00:16:3e:8a:f6:be', ipv4Addresses: ['10.1.2.3'], ipv6Addresses: null });

    expect(input?.name).toBe('in.c1.eth0');
    expect(forward?.rules).toEqual([
      'iifname "veth1" ether saddr != 00:16:3e:8a:f6:be drop', 'iifname "veth1" arp saddr ether != 00:16:3e:8a:f6:be drop',
      'iifname "veth1" icmpv6 type 136 @nh,528,48 != 0x00163e8af6be drop', 'iifname "veth1" arp saddr ip 10.1.2.3 accept',
      'iifname "veth1" ip saddr 10.1.2.3 accept', 'iifname "veth1" ether type arp drop', 'iifname "veth1" ether type ip drop',
      'iifname "veth1" ether type != { ip, arp, ip6 } drop',
    ]);
  });

  it('writes IPv6 addresses as bits', () => {
    expect(ipv6Hex('fd42:b736:a65b:65c:216:3eff:fe8a:f6be')).toBe('fd42b736a65b065c02163efffe8af6be');
    expect(ipv6Hex('fd42::1')).toBe('fd420000000000000000000000000001');
  });
});

describe('forwardChains', () => {
  const forward = { instance: 'c1', device: 'web', protocol: 'tcp' as const, family: 4 as const, listenAddress: '192.0.2.1', connectAddress: '10.1.1.2', listenPorts: [80, 81, 85] };

  it('sends each port to its own, or all to one', () => {
    const [incoming, own, outgoing] = forwardChains({ ...forward, connectPorts: [90, 91, 95] });

    expect([incoming!.name, own!.name, outgoing!.name]).toEqual(['prert.c1.web', 'out.c1.web', 'pstrt.c1.web']);
    expect(incoming!.rules).toEqual([80, 81, 85].map((port) => `ip daddr 192.0.2.1 tcp dport ${port} dnat ip to 10.1.1.2:${port + 10}`));
    expect(outgoing!.rules).toEqual(['90-91', '95'].map((ports) => `ip saddr 10.1.1.2 ip daddr 10.1.1.2 tcp dport ${ports} masquerade`));
    expect(forwardChains({ ...forward, connectPorts: [90] })[0]!.rules).toEqual(['80-81', '85'].map((ports) => `ip daddr 192.0.2.1 tcp dport ${ports} dnat ip to 10.1.1.2:90`));
  });

  it('writes IPv6 addresses with ports in brackets', () => {
    expect(forwardChains({ ...forward, family: 6, listenAddress: 'fd00::1', connectAddress: 'fd42::2', listenPorts: [53], connectPorts: [53] })[0]!.rules).toEqual(['ip6 daddr fd00::1 tcp dport 53 dnat ip6 to [fd42::2]:53']);
    expect(ranges([1, 2, 3, 5, 7, 8])).toEqual(['1-3', '5', '7-8']);
  });
});

describe('foreignDropWarnings', () => {
  it('names the way out', () => {
    const docker = { family: 'ip', table: 'filter', chain: 'FORWARD', hook: 'forward', policy: 'drop' };

    expect(foreignDropWarnings([docker], 'br0')).toEqual([expect.stringContaining('iptables -I FORWARD -i br0 -j ACCEPT')]);
    expect(foreignDropWarnings([{ ...docker, family: 'inet', table: 'mine', chain: 'f' }], 'br0')[0]).toContain('nft insert rule inet mine f iifname "br0" accept');
    expect(foreignDropWarnings([{ ...docker, policy: 'accept' }], 'br0')).toEqual([]);
  });
});
