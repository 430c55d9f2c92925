import { internal } from '#kernel';

/** A bridge to make. */
export interface BridgeLink {
  readonly name: string;
  /** Empty leaves the choice to the kernel. */
  readonly hwaddr: string;
  readonly mtu: number;
  /** Text of `ifalias`, without blanks. */
  readonly alias: string;
}

export interface VxlanLink {
  readonly name: string;
  readonly id: number;
  /** Either a multicast group on a parent interface, or two ends. */
  readonly group: string;
  readonly parent: string;
  readonly ttl: string;
  readonly local: string;
  readonly remote: string;
  readonly port: number;
}

export interface InstanceRoute {
  readonly subnet: string;
  readonly link: string;
  readonly via: string;
  readonly table: string;
}

function routeText({ subnet, link, via, table }: InstanceRoute): string {
  return `${subnet}${via === '' ? '' : ` via ${via}`} dev ${link}${table === '' ? '' : ` table ${table}`}`;
}

/**
 * Lines for `ip -batch`, gathered and run in one process. Names and addresses must have been validated: `ip` splits at blanks.
 */
export class IpBatch {
  private readonly lines: string[] = [];

  get empty(): boolean {
    return this.lines.length === 0;
  }

  addBridge({ name, hwaddr, mtu, alias }: BridgeLink): this {
    return this.add(`link add name ${name}${hwaddr === '' ? '' : ` address ${hwaddr}`} mtu ${mtu} type bridge`).setAlias(name, alias);
  }

  addGretap(name: string, local: string, remote: string): this {
    return this.add(`link add name ${name} type gretap local ${local} remote ${remote}`);
  }

  addVxlan({ name, id, group, parent, ttl, local, remote, port }: VxlanLink): this {
    const ends = group === '' ? `local ${local} remote ${remote}` : `group ${group} dev ${parent} ttl ${ttl}`;
    return this.add(`link add name ${name} type vxlan id ${id} ${ends} dstport ${port}`);
  }

  /** Made right inside, in the network namespace of a process. */
  addMacvlanInside(pid: number, { parent, name, hwaddr, mtu }: { parent: string; name: string; hwaddr: string; mtu: number }): this {
    return this.add(`link add link ${parent} name ${name}${hwaddr === '' ? '' : ` address ${hwaddr}`}${mtu === 0 ? '' : ` mtu ${mtu}`} netns ${pid} type macvlan mode bridge`);
  }

  /** To the network namespace of a process, under another name. */
  moveLink(name: string, pid: number, newName: string): this { return this.add(`link set dev ${name} netns ${pid} name ${newName}`); }
  /** Routes of instances: by a link, or by an address behind it; `table` is empty for the main one. */
  replaceInstanceRoute(route: InstanceRoute): this { return this.add(`route replace ${routeText(route)}`); }
  deleteInstanceRoute(route: InstanceRoute): this { return this.add(`route delete ${routeText(route)}`); }
  /** Answer for an address of an instance on a link of the host. */
  addProxyNeighbor(address: string, link: string): this { return this.add(`neighbor replace proxy ${address} dev ${link}`); }
  deleteProxyNeighbor(address: string, link: string): this { return this.add(`neighbor delete proxy ${address} dev ${link}`); }

  /** How a card treats one of its virtual functions (SR-IOV). VLAN 0 is none. */
  setFunctionVlan(parent: string, id: number, vlan: number): this { return this.add(`link set dev ${parent} vf ${id} vlan ${vlan}`); }
  setFunctionAddress(parent: string, id: number, hwaddr: string): this { return this.add(`link set dev ${parent} vf ${id} mac ${hwaddr}`); }
  setFunctionSpoofCheck(parent: string, id: number, on: boolean): this { return this.add(`link set dev ${parent} vf ${id} spoofchk ${on ? 'on' : 'off'}`); }

  /** Has the kernel find out who has an address. */
  askNeighbor(address: string, link: string): this { return this.add(`neighbor replace ${address} dev ${link} use`); }
  deleteNeighbor(address: string, link: string): this { return this.add(`neighbor delete ${address} dev ${link}`); }

  setAlias(name: string, alias: string): this { return this.add(`link set dev ${name} alias ${alias}`); }
  setMtu(name: string, mtu: number): this { return this.add(`link set dev ${name} mtu ${mtu}`); }
  setAddress(name: string, hwaddr: string): this { return this.add(`link set dev ${name} address ${hwaddr}`); }
  setMaster(name: string, master: string): this { return this.add(`link set dev ${name} master ${master}`); }
  clearMaster(name: string): this { return this.add(`link set dev ${name} nomaster`); }
  setUp(name: string): this { return this.add(`link set dev ${name} up`); }
  setDown(name: string): this { return this.add(`link set dev ${name} down`); }
  rename(name: string, newName: string): this { return this.add(`link set dev ${name} name ${newName}`); }
  deleteLink(name: string): this { return this.add(`link delete dev ${name}`); }

  /** `cidr` with prefix length. Duplicate address detection is skipped: the bridge is the only router of its segment. */
  addAddress(name: string, cidr: string): this {
    return this.add(`address add ${cidr} dev ${name}${cidr.includes(':') ? ' nodad' : ''}`);
  }

  /** Whether it is there already or not. */
  replaceAddress(name: string, cidr: string): this { return this.add(`address replace ${cidr} dev ${name}${cidr.includes(':') ? ' nodad' : ''}`); }
  deleteAddress(name: string, cidr: string): this { return this.add(`address delete ${cidr} dev ${name}`); }
  replaceRoute(name: string, subnet: string): this { return this.add(`route replace ${subnet} dev ${name} proto static`); }
  deleteRoute(name: string, subnet: string): this { return this.add(`route delete ${subnet} dev ${name} proto static`); }

  /** The n-th line, from 1. */
  line(number: number): string {
    return this.lines[number - 1] ?? '';
  }

  /** What `ip -batch -` reads. */
  text(): string {
    return this.lines.map((line) => `${line}\n`).join('');
  }

  private add(line: string): this {
    // A line break or quote would let a name carry commands of its own (`netns exec` is one).
    if (!/^[\w .:/-]+$/.test(line)) throw internal(`Unsafe text for ip: ${JSON.stringify(line)}`);
    this.lines.push(line);
    return this;
  }
}
