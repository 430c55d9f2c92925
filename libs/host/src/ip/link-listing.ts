import { OutputParseError } from '../command.errors.js';

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

/** A link as `ip -d -s address show` tells it. */
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
  /** Has a bus behind it: hardware, or a virtual machine's card. */
  readonly physical: boolean;
  readonly addresses: readonly LinkAddress[];
  readonly received: LinkCounters;
  readonly sent: LinkCounters;
  /** Attributes of its kind, by the tool's names. */
  readonly info: Readonly<Record<string, unknown>>;
}

interface RawLink {
  ifindex?: number; ifname?: string; ifalias?: string; link?: string; link_type?: string; flags?: string[]; mtu?: number; address?: string; master?: string;
  parentbus?: string;
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
    lower: link.link ?? '', physical: link.parentbus !== undefined,
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
