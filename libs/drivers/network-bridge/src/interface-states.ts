import type { InterfaceState } from '#ports';
import type { LinkDetails } from '#host';

/** The port's view of a link. Pure. */
export function interfaceState(link: LinkDetails, all: readonly LinkDetails[]): InterfaceState {
  const { name, type, mtu, hwaddr, bridge, bond, received, sent } = link;
  const ports = all.filter(({ master }) => master === name).map((port) => port.name);
  return {
    name, type, mtu, hwaddr, state: link.up ? 'up' : 'down', hostName: '', kind: linkKind(link),
    addresses: link.addresses.map(({ family, address, prefixLength, scope }) => ({ family, address, netmask: String(prefixLength), scope })),
    counters: {
      bytesReceived: received.bytes, bytesSent: sent.bytes, packetsReceived: received.packets, packetsSent: sent.packets,
      errorsReceived: received.errors, errorsSent: sent.errors, packetsDroppedInbound: received.dropped, packetsDroppedOutbound: sent.dropped,
    },
    bridge: bridge === null ? null : { ...bridge, upperDevices: ports },
    bond: bond === null ? null : { ...bond, miiState: link.running ? 'up' : 'down', lowerDevices: ports },
    vlan: link.vlanId === null ? null : { lowerDevice: link.lower, vid: link.vlanId },
  };
}

/** Every link made by software has a kind; hardware has none. */
function linkKind({ kind, type }: LinkDetails): string {
  if (type === 'loopback') return 'loopback';
  if (kind === 'bridge' || kind === 'bond' || kind === 'vlan') return kind;
  return kind === '' ? 'physical' : 'unknown';
}
