import type { InterfaceState } from '#ports';
import type { LinkDetails } from '#host';

/** The port's view of a link. Pure. */
export function interfaceState(link: LinkDetails, all: readonly LinkDetails[]): InterfaceState {
  const ports = all.filter(({ master }) => master === link.name).map(({ name }) => name);
  return {
    name: link.name, type: linkType(link.flags), state: link.flags.includes('UP') ? 'up' : 'down',
    hwaddr: link.linkType === 'ether' ? link.hwaddr : '', mtu: link.mtu, hostName: '', kind: linkKind(link),
    addresses: link.addresses.map(({ family, address, prefixLength, scope }) => ({
      family, address, netmask: String(prefixLength), scope: scope === 'host' ? 'local' : scope,
    })),
    counters: {
      bytesReceived: link.received.bytes, bytesSent: link.sent.bytes, packetsReceived: link.received.packets, packetsSent: link.sent.packets,
      errorsReceived: link.received.errors, errorsSent: link.sent.errors,
      packetsDroppedInbound: link.received.dropped, packetsDroppedOutbound: link.sent.dropped,
    },
    bridge: link.kind === 'bridge'
      ? { id: bridgeId(text(link, 'bridge_id')), stp: number(link, 'stp_state') !== 0, forwardDelay: number(link, 'forward_delay'),
          vlanDefault: number(link, 'vlan_default_pvid'), vlanFiltering: number(link, 'vlan_filtering') !== 0, upperDevices: ports }
      : null,
    bond: link.kind === 'bond'
      ? { mode: text(link, 'mode'), transmitPolicy: text(link, 'xmit_hash_policy'), upDelay: number(link, 'updelay'), downDelay: number(link, 'downdelay'),
          miiFrequency: number(link, 'miimon'), miiState: link.flags.includes('LOWER_UP') ? 'up' : 'down', lowerDevices: ports }
      : null,
    vlan: link.kind === 'vlan' ? { lowerDevice: link.lower, vid: number(link, 'id') } : null,
  };
}

function linkType(flags: readonly string[]): string {
  if (flags.includes('LOOPBACK')) return 'loopback';
  return flags.includes('POINTOPOINT') ? 'point-to-point' : flags.includes('BROADCAST') ? 'broadcast' : 'unknown';
}

function linkKind(link: LinkDetails): string {
  if (link.flags.includes('LOOPBACK')) return 'loopback';
  if (link.kind === 'bridge' || link.kind === 'bond' || link.kind === 'vlan') return link.kind;
  return link.physical ? 'physical' : 'unknown';
}

/** The tool writes `8000.0:16:3e:f2:c7:a7`, the kernel's own files `8000.00163ef2c7a7`. */
function bridgeId(id: string): string {
  const [priority = '', address = ''] = id.split('.');
  return `${priority}.${address.split(':').map((byte) => byte.padStart(2, '0')).join('')}`;
}

function number(link: LinkDetails, key: string): number {
  return Number(link.info[key] ?? 0);
}

function text(link: LinkDetails, key: string): string {
  return String(link.info[key] ?? '');
}
