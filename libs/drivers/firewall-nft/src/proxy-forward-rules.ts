import type { ProxyForward } from '#ports';
import type { ChainText } from './chain-text.js';

export function forwardChainNames(instance: string, device: string): [string, string, string] {
  return [`prert.${instance}.${device}`, `out.${instance}.${device}`, `pstrt.${instance}.${device}`];
}

/**
 * A `proxy` device with `nat`, in LXD's names and order: from outside and from the host itself packets are sent on, and what the instance sends to itself
 * by way of the host's address comes from the host, so that the answer takes the same way.
 */
export function forwardChains(forward: ProxyForward): ChainText[] {
  const { protocol, family, listenAddress, connectAddress } = forward;
  const ip = family === 4 ? 'ip' : 'ip6';
  const host = family === 4 ? connectAddress : `[${connectAddress}]`;
  const [incoming, own, outgoing] = forwardChainNames(forward.instance, forward.device);
  const forwarded = pairs(forward).map(([from, to]) => `${ip} daddr ${listenAddress} ${protocol} dport ${from} dnat ${ip} to ${host}:${to}`);
  const back = ranges(forward.connectPorts).map((ports) => `${ip} saddr ${connectAddress} ${ip} daddr ${connectAddress} ${protocol} dport ${ports} masquerade`);
  return [
    { name: incoming, hook: 'type nat hook prerouting priority dstnat; policy accept;', rules: forwarded },
    { name: own, hook: 'type nat hook output priority -100; policy accept;', rules: forwarded },
    { name: outgoing, hook: 'type nat hook postrouting priority srcnat; policy accept;', rules: back },
  ];
}

/** Ports that all go to one are written as ranges, those that go to one each by themselves. */
function pairs({ listenPorts, connectPorts }: ProxyForward): [string, string][] {
  if (connectPorts.length === 1) return ranges(listenPorts).map((range) => [range, `${connectPorts[0]}`]);
  return listenPorts.map((port, index) => [`${port}`, `${connectPorts[index]}`]);
}

/** `80-82`, `85` for 80, 81, 82, 85. */
export function ranges(ports: readonly number[]): string[] {
  const found: [number, number][] = [];
  for (const port of ports) {
    const last = found.at(-1);
    if (last !== undefined && port === last[1] + 1) last[1] = port;
    else found.push([port, port]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
}
