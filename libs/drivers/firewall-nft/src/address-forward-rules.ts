import type { AddressForward, ForwardedPorts, NetworkSpec } from '#ports';
import type { ChainText } from './chain-text.js';
import { ranges } from './proxy-forward-rules.js';

/**
 * Forwards of a network's addresses, in LXD's names: from outside and from the host itself packets are sent on, ports before what all others go to. What an
 * instance sends to itself by way of such an address comes from the host, so that the answer takes the same way.
 */
export function addressForwardChains({ name, forwards = [] }: NetworkSpec): ChainText[] {
  const ports = forwards.flatMap((forward) => forward.ports.map((one) => ({ forward, ...one })));
  const whole = forwards.filter(({ targetAddress }) => targetAddress !== '');
  const incoming = [
    ...ports.flatMap((one) => portRules(one)),
    ...whole.map(({ listenAddress, targetAddress }) => `${family(listenAddress)} daddr ${listenAddress} dnat ${family(listenAddress)} to ${targetAddress}`),
  ];
  const back = [
    ...ports.flatMap(({ protocol, targetAddress, targetPorts, listenPorts }) => ranges(targetPorts.length === 0 ? listenPorts : targetPorts)
      .map((range) => `${toItself(targetAddress)} ${protocol} dport ${range} masquerade`)),
    ...whole.map(({ targetAddress }) => `${toItself(targetAddress)} masquerade`),
  ];
  return [
    { name: `fwdprert.${name}`, hook: 'type nat hook prerouting priority dstnat; policy accept;', rules: incoming },
    { name: `fwdout.${name}`, hook: 'type nat hook output priority -100; policy accept;', rules: incoming },
    { name: `fwdpstrt.${name}`, hook: 'type nat hook postrouting priority srcnat; policy accept;', rules: [...new Set(back)] },
  ];
}

/** Ports that stay the same, or all become one, are written as ranges; those that become others each by themselves. */
function portRules({ forward: { listenAddress }, protocol, listenPorts, targetAddress, targetPorts }: ForwardedPorts & { readonly forward: AddressForward }): string[] {
  const ip = family(listenAddress);
  const rule = (from: string, port: string): string => {
    const host = port === '' || ip === 'ip' ? targetAddress : `[${targetAddress}]`;
    return `${ip} daddr ${listenAddress} ${protocol} dport ${from} dnat ${ip} to ${host}${port === '' ? '' : `:${port}`}`;
  };
  if (targetPorts.length <= 1) return ranges(listenPorts).map((range) => rule(range, targetPorts.length === 0 ? '' : `${targetPorts[0]}`));
  return listenPorts.map((port, index) => rule(`${port}`, `${targetPorts[index]}`));
}

function family(address: string): string {
  return address.includes(':') ? 'ip6' : 'ip';
}

function toItself(address: string): string {
  return `${family(address)} saddr ${address} ${family(address)} daddr ${address}`;
}
