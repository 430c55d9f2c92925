import type { AclRule, NetworkSpec } from '#ports';
import type { ChainText } from './chain-text.js';

const icmp = 'icmp type { destination-unreachable, time-exceeded, parameter-problem } accept';
const icmpv6Errors = 'destination-unreachable, packet-too-big, time-exceeded, parameter-problem';
const neighbours = 'nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report';

/**
 * What a network's access lists say about the border between its bridge and this host, in LXD's names: one chain of rules, which what comes in, goes out
 * or passes through jumps to. DNS, DHCP and the ICMP they need are let through before.
 */
export function aclChains({ name, acl = [] }: NetworkSpec): ChainText[] {
  if (acl.length === 0) return [];
  const [from, to] = [`iifname "${name}"`, `oifname "${name}"`];
  const jump = `jump acl.${name}`;
  return [
    { name: `acl.${name}`, hook: '', rules: ['ct state established,related accept', ...acl.flatMap((rule) => aclRuleTexts(name, rule))] },
    { name: `aclin.${name}`, hook: 'type filter hook input priority filter; policy accept;', rules: [
      ...['tcp dport 53', 'udp dport 53', 'udp dport 67', 'udp dport 547'].map((match) => `${from} ${match} accept`),
      `${from} ${icmp}`, `${from} icmpv6 type { ${icmpv6Errors}, nd-router-solicit, ${neighbours} } accept`, `${from} ${jump}`,
    ] },
    { name: `aclout.${name}`, hook: 'type filter hook output priority filter; policy accept;', rules: [
      ...['udp sport 67', 'udp sport 547'].map((match) => `${to} ${match} accept`),
      `${to} ${icmp}`, `${to} icmpv6 type { ${icmpv6Errors}, echo-request, nd-router-advert, ${neighbours} } accept`, `${to} ${jump}`,
    ] },
    { name: `aclfwd.${name}`, hook: 'type filter hook forward priority filter; policy accept;', rules: [`${from} ${jump}`, `${to} ${jump}`] },
  ];
}

/** One rule where nothing tells the families apart, else one for each family both sides have subjects of. */
export function aclRuleTexts(network: string, rule: AclRule): string[] {
  const { direction, source, destination } = rule;
  const link = `${direction === 'ingress' ? 'oifname' : 'iifname'} "${network}"`;
  const verdict = `${rule.logPrefix === '' ? '' : `log prefix "${rule.logPrefix} " `}${rule.action === 'allow' ? 'accept' : rule.action}`;
  const text = (...subjects: string[]): string => [link, ...subjects, ...protocolMatch(rule), verdict].join(' ');
  if (source.length === 0 && destination.length === 0) return [text()];
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const [from, to] = [ofFamily(source, family), ofFamily(destination, family)];
    const mute = (source.length > 0 && from.length === 0) || (destination.length > 0 && to.length === 0);
    return mute ? [] : [text(...subjectMatch(family, 'saddr', from), ...subjectMatch(family, 'daddr', to))];
  });
}

function ofFamily(subjects: readonly string[], family: 'ip' | 'ip6'): string[] {
  return subjects.filter((subject) => subject.includes(':') === (family === 'ip6'));
}

function subjectMatch(family: string, side: string, subjects: readonly string[]): string[] {
  return subjects.length === 0 ? [] : [`${family} ${side} ${setOf(subjects)}`];
}

function setOf(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`;
}

function protocolMatch({ protocol, sourcePorts, destinationPorts, icmpType, icmpCode }: AclRule): string[] {
  if (protocol === 'tcp' || protocol === 'udp') {
    const ports = [...(sourcePorts.length === 0 ? [] : [`${protocol} sport ${setOf(sourcePorts)}`]), ...(destinationPorts.length === 0 ? [] : [`${protocol} dport ${setOf(destinationPorts)}`])];
    return ports.length === 0 ? [`meta l4proto ${protocol}`] : ports;
  }
  if (protocol === '') return [];
  const [whole, name] = protocol === 'icmp4' ? ['ip protocol icmp', 'icmp'] : ['ip6 nexthdr ipv6-icmp', 'icmpv6'];
  // A code without its type says nothing, as in LXD.
  return [whole, ...(icmpType === '' ? [] : [`${name} type ${icmpType}`, ...(icmpCode === '' ? [] : [`${name} code ${icmpCode}`])])];
}
