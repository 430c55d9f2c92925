import { attributeText, forEachAttribute } from './netlink-message.js';

export interface NetlinkCounters {
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxErrors: number;
  readonly txErrors: number;
  readonly rxDropped: number;
  readonly txDropped: number;
}

/** One network interface as RTM_GETLINK tells it. */
export interface NetlinkLink {
  readonly index: number;
  readonly name: string;
  /** `IFF_*` bits. */
  readonly flags: number;
  readonly mtu: number;
  /** `00:16:3e:...`, empty where the link has none. */
  readonly mac: string;
  /** Index of the bridge or bond it belongs to, 0 for none. */
  readonly master: number;
  /** Index of the other end of a veth, in the other end's namespace; 0 where there is none. */
  readonly peer: number;
  /** `veth`, `bridge`, `bond`, `vlan`, `macvlan`, ...; empty for hardware and loopback. */
  readonly kind: string;
  /** Attributes of its kind (IFLA_INFO_DATA) as they came; empty where there are none. */
  readonly kindData: Buffer;
  /** The administrator's text for it (`ip link set alias`). */
  readonly alias: string;
  readonly counters: NetlinkCounters;
}

export interface NetlinkAddress {
  readonly index: number;
  readonly family: 'inet' | 'inet6';
  readonly address: string;
  readonly prefix: number;
  readonly scope: 'global' | 'link' | 'local';
}

export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_POINTOPOINT = 0x10;
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
const IFLA_LINK = 5;
export const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_STATS64 = 23;
export const IFLA_NET_NS_FD = 28;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
export const VETH_INFO_PEER = 1;
/** struct ifinfomsg. */
export const linkHeaderBytes = 16;
const addressHeaderBytes = 8;
const AF_INET = 2;
const AF_INET6 = 10;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;

const noBytes = Buffer.alloc(0);
const noCounters: NetlinkCounters = { rxPackets: 0, txPackets: 0, rxBytes: 0, txBytes: 0, rxErrors: 0, txErrors: 0, rxDropped: 0, txDropped: 0 };

/** Payload of RTM_NEWLINK: struct ifinfomsg and attributes. */
export function decodeLink(payload: Buffer): NetlinkLink {
  const link = { name: '', mtu: 0, mac: '', master: 0, peer: 0, kind: '', kindData: noBytes, alias: '', counters: noCounters };
  forEachAttribute(payload, linkHeaderBytes, (type, value) => {
    if (type === IFLA_IFNAME) link.name = attributeText(value);
    else if (type === IFLA_ADDRESS) link.mac = macText(value);
    else if (type === IFLA_MTU) link.mtu = value.readUInt32LE(0);
    else if (type === IFLA_LINK) link.peer = value.readUInt32LE(0);
    else if (type === IFLA_MASTER) link.master = value.readUInt32LE(0);
    else if (type === IFLA_IFALIAS) link.alias = attributeText(value);
    else if (type === IFLA_STATS64) link.counters = decodeCounters(value);
    else if (type === IFLA_LINKINFO) decodeKind(value, link);
  });
  return { index: payload.readInt32LE(4), flags: payload.readUInt32LE(8), ...link };
}

function decodeKind(value: Buffer, link: { kind: string; kindData: Buffer }): void {
  forEachAttribute(value, 0, (type, inner) => {
    if (type === IFLA_INFO_KIND) link.kind = attributeText(inner);
    else if (type === IFLA_INFO_DATA) link.kindData = inner;
  });
}

/** The first eight fields of struct rtnl_link_stats64, in its order. */
function decodeCounters(value: Buffer): NetlinkCounters {
  const at = (index: number): number => value.readUInt32LE(index * 8) + value.readUInt32LE(index * 8 + 4) * 2 ** 32;
  return {
    rxPackets: at(0), txPackets: at(1), rxBytes: at(2), txBytes: at(3), rxErrors: at(4), txErrors: at(5), rxDropped: at(6), txDropped: at(7),
  };
}

function macText(value: Buffer): string {
  if (value.length !== 6 || value.every((byte) => byte === 0)) return '';
  return value.toString('hex').replace(/..(?=.)/g, '$&:');
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** Payload of RTM_NEWADDR: struct ifaddrmsg and attributes. Null for families other than IP. */
export function decodeAddress(payload: Buffer): NetlinkAddress | null {
  const family = payload[0];
  if (family !== AF_INET && family !== AF_INET6) return null;
  let local: Buffer | undefined;
  let address: Buffer | undefined;
  forEachAttribute(payload, addressHeaderBytes, (type, value) => {
    if (type === IFA_LOCAL) local = value;
    else if (type === IFA_ADDRESS) address = value;
  });
  // On a point-to-point link IFA_ADDRESS is the other end.
  const own = local ?? address;
  if (own === undefined) return null;
  const scope = payload[3] === RT_SCOPE_LINK ? 'link' : payload[3] === RT_SCOPE_HOST ? 'local' : 'global';
  return {
    index: payload.readUInt32LE(4), prefix: payload[1] ?? 0, scope,
    ...(family === AF_INET ? { family: 'inet', address: own.join('.') } : { family: 'inet6', address: ipv6Text(own) }),
  };
}

/** RFC 5952: the longest run of zero groups (the first of equals, two at least) becomes `::`. */
export function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
