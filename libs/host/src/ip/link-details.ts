import { forEachAttribute } from '../netlink/netlink-message.js';
import { IFF_BROADCAST, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_UP, type NetlinkLink } from '../netlink/links.js';
import type { NamespaceNetwork } from '../netlink/netlink.js';

/** An address on a link. */
export interface LinkAddress {
  readonly family: 'inet' | 'inet6';
  readonly address: string;
  readonly prefixLength: number;
  /** `global`, `link` or `local`. */
  readonly scope: string;
}

export interface LinkCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

export interface BridgeDetails {
  /** `8000.00163ef2c7a7`: priority and address, as the kernel's own files write it. */
  readonly id: string;
  readonly stp: boolean;
  /** Hundredths of a second. */
  readonly forwardDelay: number;
  readonly vlanFiltering: boolean;
  /** 0 on a kernel without VLANs in bridges. */
  readonly vlanDefault: number;
}

export interface BondDetails {
  readonly mode: string;
  readonly transmitPolicy: string;
  /** Milliseconds. */
  readonly upDelay: number;
  readonly downDelay: number;
  readonly miiFrequency: number;
}

/** A link of this network namespace with its addresses. */
export interface LinkDetails {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  /** `bridge`, `veth`, `vxlan`...; empty for hardware and loopback. */
  readonly kind: string;
  readonly up: boolean;
  /** Has a carrier. */
  readonly running: boolean;
  /** `loopback`, `point-to-point`, `broadcast` or `unknown`. */
  readonly type: string;
  readonly mtu: number;
  /** Empty where it has none. */
  readonly hwaddr: string;
  /** Bridge or bond it is enslaved to. */
  readonly master: string;
  /** Lower device in the same namespace (of a VLAN, the other end of a veth). */
  readonly lower: string;
  readonly addresses: readonly LinkAddress[];
  readonly received: LinkCounters;
  readonly sent: LinkCounters;
  readonly bridge: BridgeDetails | null;
  readonly bond: BondDetails | null;
  readonly vlanId: number | null;
}

const IFF_LOWER_UP = 0x10000;

/** Puts links and addresses together and reads what the kinds add. */
export function linkDetails({ links, addresses }: NamespaceNetwork): LinkDetails[] {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const addressesOf = Map.groupBy(addresses, ({ index }) => index);
  return links.map((link) => {
    const { index, name, alias, kind, mtu, mac, flags, counters } = link;
    const data = kindData(link);
    return {
      index, name, alias, kind, mtu, hwaddr: mac, up: (flags & IFF_UP) !== 0, running: (flags & IFF_LOWER_UP) !== 0, type: linkType(flags),
      master: names.get(link.master) ?? '', lower: names.get(link.peer) ?? '',
      addresses: (addressesOf.get(index) ?? []).map(({ family, address, prefix, scope }) => ({ family, address, prefixLength: prefix, scope })),
      received: { bytes: counters.rxBytes, packets: counters.rxPackets, errors: counters.rxErrors, dropped: counters.rxDropped },
      sent: { bytes: counters.txBytes, packets: counters.txPackets, errors: counters.txErrors, dropped: counters.txDropped },
      bridge: kind === 'bridge' ? bridgeDetails(data) : null, bond: kind === 'bond' ? bondDetails(data) : null,
      vlanId: kind === 'vlan' ? (data.get(IFLA_VLAN_ID)?.readUInt16LE(0) ?? 0) : null,
    };
  });
}

function linkType(flags: number): string {
  if ((flags & IFF_LOOPBACK) !== 0) return 'loopback';
  if ((flags & IFF_POINTOPOINT) !== 0) return 'point-to-point';
  return (flags & IFF_BROADCAST) === 0 ? 'unknown' : 'broadcast';
}

function kindData(link: NetlinkLink): Map<number, Buffer> {
  const data = new Map<number, Buffer>();
  forEachAttribute(link.kindData, 0, (type, value) => data.set(type, value));
  return data;
}

/** Numbers of linux/if_link.h. */
const IFLA_VLAN_ID = 1;
const IFLA_BR_FORWARD_DELAY = 1;
const IFLA_BR_STP_STATE = 5;
const IFLA_BR_VLAN_FILTERING = 7;
const IFLA_BR_BRIDGE_ID = 11;
const IFLA_BR_VLAN_DEFAULT_PVID = 39;

function bridgeDetails(data: ReadonlyMap<number, Buffer>): BridgeDetails {
  const id = (data.get(IFLA_BR_BRIDGE_ID) ?? Buffer.alloc(8)).toString('hex');
  return {
    id: `${id.slice(0, 4)}.${id.slice(4)}`, stp: (data.get(IFLA_BR_STP_STATE)?.readUInt32LE(0) ?? 0) !== 0,
    forwardDelay: data.get(IFLA_BR_FORWARD_DELAY)?.readUInt32LE(0) ?? 0, vlanFiltering: (data.get(IFLA_BR_VLAN_FILTERING)?.readUInt8(0) ?? 0) !== 0,
    vlanDefault: data.get(IFLA_BR_VLAN_DEFAULT_PVID)?.readUInt16LE(0) ?? 0,
  };
}

const IFLA_BOND_MODE = 1;
const IFLA_BOND_MIIMON = 3;
const IFLA_BOND_UPDELAY = 4;
const IFLA_BOND_DOWNDELAY = 5;
const IFLA_BOND_XMIT_HASH_POLICY = 14;
const bondModes = ['balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'];
const transmitPolicies = ['layer2', 'layer3+4', 'layer2+3', 'encap2+3', 'encap3+4', 'vlan+srcmac'];

function bondDetails(data: ReadonlyMap<number, Buffer>): BondDetails {
  const number = (type: number): number => data.get(type)?.readUInt32LE(0) ?? 0;
  return {
    mode: bondModes[data.get(IFLA_BOND_MODE)?.readUInt8(0) ?? 0] ?? '', transmitPolicy: transmitPolicies[data.get(IFLA_BOND_XMIT_HASH_POLICY)?.readUInt8(0) ?? 0] ?? '',
    upDelay: number(IFLA_BOND_UPDELAY), downDelay: number(IFLA_BOND_DOWNDELAY), miiFrequency: number(IFLA_BOND_MIIMON),
  };
}
