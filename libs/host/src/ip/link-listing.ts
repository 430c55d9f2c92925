import { OutputParseError } from '../command.errors.js';
import { IFF_BROADCAST, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_UP, type NetlinkLink } from '../netlink/links.js';
import type { NamespaceNetwork } from '../netlink/netlink.js';

/** An address on a link. */
export interface LinkAddress {
  readonly family: 'inet' | 'inet6';
  readonly address: string;
  readonly prefixLength: number;
  /** `global`, `link`, `host`, `site`. */
  readonly scope: string;
}

export interface LinkCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

/** A link as `ip -d -s address show` tells it, or as netlink does. */
export interface LinkDetails {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  /** `bridge`, `veth`, `vxlan`...; empty for hardware and loopback. */
  readonly kind: string;
  /** `ether`, `loopback`, `none`... */
  readonly linkType: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly hwaddr: string;
  /** Bridge or bond it is enslaved to. */
  readonly master: string;
  /** Lower device in the same namespace (of a VLAN, the other end of a veth). */
  readonly lower: string;
  /** Hardware, or a virtual machine's card: every link made by software has a kind. */
  readonly physical: boolean;
  readonly addresses: readonly LinkAddress[];
  readonly received: LinkCounters;
  readonly sent: LinkCounters;
  /** Attributes of its kind, by the tool's names; empty in a listing by netlink. */
  readonly info: Readonly<Record<string, unknown>>;
}

interface RawLink {
  ifindex?: number; ifname?: string; ifalias?: string; link?: string; link_type?: string; flags?: string[]; mtu?: number; address?: string; master?: string;
  linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> };
  addr_info?: { family?: string; local?: string; prefixlen?: number; scope?: string }[];
  stats64?: { rx?: RawCounters; tx?: RawCounters };
}

interface RawCounters { bytes?: number; packets?: number; errors?: number; dropped?: number }

/** Output of `ip -j -d -s address show`. */
export function parseLinks(json: string): LinkDetails[] {
  let links: RawLink[];
  try {
    links = JSON.parse(json.trim() === '' ? '[]' : json) as RawLink[];
  } catch {
    throw new OutputParseError(['ip', '-j', '-d', '-s', 'address', 'show'], json.slice(0, 200));
  }
  // Older releases of the tool print an empty object for each link that a filter left out.
  return links.filter((link) => link.ifname !== undefined).map(toDetails);
}

function toDetails(link: RawLink): LinkDetails {
  return {
    index: link.ifindex ?? 0, name: link.ifname ?? '', alias: link.ifalias ?? '', kind: link.linkinfo?.info_kind ?? '',
    linkType: link.link_type ?? '', flags: link.flags ?? [], mtu: link.mtu ?? 0, hwaddr: link.address ?? '', master: link.master ?? '',
    lower: link.link ?? '', physical: isPhysical(link.linkinfo?.info_kind, link.link_type),
    addresses: (link.addr_info ?? []).flatMap(toAddress), received: toCounters(link.stats64?.rx), sent: toCounters(link.stats64?.tx),
    info: link.linkinfo?.info_data ?? {},
  };
}

function toAddress(raw: { family?: string; local?: string; prefixlen?: number; scope?: string }): LinkAddress[] {
  if ((raw.family !== 'inet' && raw.family !== 'inet6') || raw.local === undefined) return [];
  return [{ family: raw.family, address: raw.local, prefixLength: raw.prefixlen ?? 0, scope: raw.scope ?? '' }];
}

function toCounters(raw: RawCounters = {}): LinkCounters {
  return { bytes: raw.bytes ?? 0, packets: raw.packets ?? 0, errors: raw.errors ?? 0, dropped: raw.dropped ?? 0 };
}

function isPhysical(kind = '', linkType = ''): boolean {
  return kind === '' && linkType !== 'loopback';
}

const flagNames = [[IFF_UP, 'UP'], [IFF_BROADCAST, 'BROADCAST'], [IFF_LOOPBACK, 'LOOPBACK'], [IFF_POINTOPOINT, 'POINTOPOINT'], [0x10000, 'LOWER_UP']] as const;

/** The same from the kernel's own messages. */
export function linksOfNetlink({ links, addresses }: NamespaceNetwork): LinkDetails[] {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const addressesOf = Map.groupBy(addresses, ({ index }) => index);
  return links.map((link) => {
    const { index, name, alias, kind, mtu, mac, counters } = link;
    const linkType = (link.flags & IFF_LOOPBACK) === 0 ? 'ether' : 'loopback';
    return {
      index, name, alias, kind, linkType, mtu, hwaddr: mac, flags: flagsOf(link), master: names.get(link.master) ?? '', lower: names.get(link.peer) ?? '',
      physical: isPhysical(kind, linkType), info: {},
      addresses: (addressesOf.get(index) ?? []).map(({ family, address, prefix, scope }) => (
        { family, address, prefixLength: prefix, scope: scope === 'local' ? 'host' : scope })),
      received: { bytes: counters.rxBytes, packets: counters.rxPackets, errors: counters.rxErrors, dropped: counters.rxDropped },
      sent: { bytes: counters.txBytes, packets: counters.txPackets, errors: counters.txErrors, dropped: counters.txDropped },
    };
  });
}

function flagsOf({ flags }: NetlinkLink): string[] {
  return flagNames.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}
