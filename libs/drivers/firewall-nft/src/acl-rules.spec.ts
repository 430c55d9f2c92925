import { describe, expect, it } from 'vitest';
import type { AclRule, AddressForward } from '#ports';
import { aclRuleTexts } from './acl-rules.js';
import { networkChains } from './network-rules.js';

const rule = (more: Partial<AclRule>): AclRule => ({
  direction: 'ingress', action: 'allow', source: [], destination: [], protocol: '', sourcePorts: [], destinationPorts: [], icmpType: '', icmpCode: '', logPrefix: '', ...more,
});
const chainsOf = (more: { acl?: AclRule[]; forwards?: AddressForward[] }): Record<string, readonly string[]> =>
  Object.fromEntries(networkChains({ name: 'br0', type: 'bridge', config: {}, ...more }).map(({ name, rules }) => [name, rules]));

describe('aclRuleTexts', () => {
  it.each([
    [{}, ['oifname "br0" accept']],
    [{ direction: 'egress', action: 'reject' }, ['iifname "br0" reject']],
    [{ action: 'drop', logPrefix: 'br0-ingress-1', source: ['10.9.9.9/24', 'fd00::/64'] }, [
      'oifname "br0" ip saddr 10.9.9.9/24 log prefix "br0-ingress-1 " drop', 'oifname "br0" ip6 saddr fd00::/64 log prefix "br0-ingress-1 " drop',
    ]],
    [{ protocol: 'tcp', source: ['10.0.0.0/24', '10.1.1.1-10.1.1.9'], destinationPorts: ['80', '443-445'] }, [
      'oifname "br0" ip saddr { 10.0.0.0/24, 10.1.1.1-10.1.1.9 } tcp dport { 80, 443-445 } accept',
    ]],
    [{ source: ['10.0.0.1', 'fd00::1'], destination: ['fd00::2'] }, ['oifname "br0" ip6 saddr fd00::1 ip6 daddr fd00::2 accept']],
    [{ protocol: 'udp' }, ['oifname "br0" meta l4proto udp accept']],
    [{ protocol: 'icmp4', icmpType: '3', icmpCode: '1' }, ['oifname "br0" ip protocol icmp icmp type 3 icmp code 1 accept']],
    [{ protocol: 'icmp6', icmpCode: '1' }, ['oifname "br0" ip6 nexthdr ipv6-icmp accept']],
  ])('writes %j', (more, texts) => {
    expect(aclRuleTexts('br0', rule(more))).toEqual(texts);
  });
});

describe('networkChains', () => {
  it('filters only where there are lists, and jumps to a chain that stands before', () => {
    expect(chainsOf({})).toEqual({});
    const chains = chainsOf({ acl: [rule({})] });

    expect(Object.keys(chains)).toEqual(['acl.br0', 'aclin.br0', 'aclout.br0', 'aclfwd.br0']);
    expect(chains['acl.br0']).toEqual(['ct state established,related accept', 'oifname "br0" accept']);
    expect(chains['aclin.br0']?.at(-1)).toBe('iifname "br0" jump acl.br0');
    expect(chains['aclout.br0']?.at(-1)).toBe('oifname "br0" jump acl.br0');
    expect(chains['aclfwd.br0']).toEqual(['iifname "br0" jump acl.br0', 'oifname "br0" jump acl.br0']);
  });

  it('sends ports on before everything else', () => {
    const chains = chainsOf({
      forwards: [
        { listenAddress: '192.0.2.1', targetAddress: '10.0.0.2', ports: [
          { protocol: 'tcp', listenPorts: [80, 81, 90], targetAddress: '10.0.0.3', targetPorts: [] },
          { protocol: 'tcp', listenPorts: [100, 101], targetAddress: '10.0.0.3', targetPorts: [8000, 9000] },
        ] },
        { listenAddress: 'fd99::1', targetAddress: '', ports: [{ protocol: 'udp', listenPorts: [53, 54], targetAddress: 'fd42::3', targetPorts: [5353] }] },
      ],
    });

    expect(chains['fwdprert.br0']).toEqual([
      'ip daddr 192.0.2.1 tcp dport 80-81 dnat ip to 10.0.0.3', 'ip daddr 192.0.2.1 tcp dport 90 dnat ip to 10.0.0.3',
      'ip daddr 192.0.2.1 tcp dport 100 dnat ip to 10.0.0.3:8000', 'ip daddr 192.0.2.1 tcp dport 101 dnat ip to 10.0.0.3:9000',
      'ip6 daddr fd99::1 udp dport 53-54 dnat ip6 to [fd42::3]:5353', 'ip daddr 192.0.2.1 dnat ip to 10.0.0.2',
    ]);
    expect(chains['fwdout.br0']).toEqual(chains['fwdprert.br0']);
    expect(chains['fwdpstrt.br0']).toEqual([
      'ip saddr 10.0.0.3 ip daddr 10.0.0.3 tcp dport 80-81 masquerade', 'ip saddr 10.0.0.3 ip daddr 10.0.0.3 tcp dport 90 masquerade',
      'ip saddr 10.0.0.3 ip daddr 10.0.0.3 tcp dport 8000 masquerade', 'ip saddr 10.0.0.3 ip daddr 10.0.0.3 tcp dport 9000 masquerade',
      'ip6 saddr fd42::3 ip6 daddr fd42::3 udp dport 5353 masquerade', 'ip saddr 10.0.0.2 ip daddr 10.0.0.2 masquerade',
    ]);
  });
});
