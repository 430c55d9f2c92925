/** A managed network, complete in itself. `config` holds resolved values (no `auto`). */
export interface NetworkSpec {
  readonly name: string;
  readonly type: string;
  readonly config: Readonly<Record<string, string>>;
  /** What reaches addresses of this host and goes on into the network. */
  readonly forwards?: readonly AddressForward[];
  /** Rules on what crosses between the network and this host, in their order, the defaults last. Without any nothing is filtered. */
  readonly acl?: readonly AclRule[];
}

/** An address that stands for others inside a network. */
export interface AddressForward {
  readonly listenAddress: string;
  /** Where goes what none of the ports is for; empty for nowhere. */
  readonly targetAddress: string;
  readonly ports: readonly ForwardedPorts[];
}

/** As many ports of the target as are listened on, one for all of them, or none where they stay the same. */
export interface ForwardedPorts {
  readonly protocol: string;
  readonly listenPorts: readonly number[];
  readonly targetAddress: string;
  readonly targetPorts: readonly number[];
}

/** One rule of a network's access lists. Empty texts match everything. */
export interface AclRule {
  /** `ingress`: to the network's NICs; `egress`: from them. */
  readonly direction: string;
  /** `allow`, `drop` or `reject`. */
  readonly action: string;
  /** Addresses, CIDRs and ranges, of both families together. */
  readonly source: readonly string[];
  readonly destination: readonly string[];
  /** `tcp`, `udp`, `icmp4`, `icmp6`. */
  readonly protocol: string;
  /** `80`, `8000-8010`. */
  readonly sourcePorts: readonly string[];
  readonly destinationPorts: readonly string[];
  readonly icmpType: string;
  readonly icmpCode: string;
  /** What the kernel's log says in front of packets that match; empty where they are not logged. */
  readonly logPrefix: string;
}

/** A NIC known to DHCP and DNS: always its name, and an address where one is reserved. */
export interface StaticLease {
  readonly project: string;
  readonly instance: string;
  readonly device: string;
  readonly hwaddr: string;
  /** Empty where none is reserved. */
  readonly ipv4Address: string;
  readonly ipv6Address: string;
}

export interface Lease {
  readonly hostname: string;
  readonly hwaddr: string;
  readonly address: string;
  /** `dynamic` or `static`. */
  readonly type: string;
}

export interface InterfaceAddress {
  /** `inet` or `inet6`. */
  readonly family: string;
  readonly address: string;
  /** Prefix length as text, as the API shows it. */
  readonly netmask: string;
  /** `global`, `link` or `local`. */
  readonly scope: string;
}

export interface InterfaceCounters {
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly errorsReceived: number;
  readonly errorsSent: number;
  readonly packetsDroppedInbound: number;
  readonly packetsDroppedOutbound: number;
}

/** One network interface in some network namespace. */
export interface InterfaceState {
  readonly name: string;
  /** `broadcast`, `loopback`, `point-to-point`. */
  readonly type: string;
  /** `up` or `down`. */
  readonly state: string;
  readonly hwaddr: string;
  readonly mtu: number;
  /** Name of the other end in the host's namespace, where there is one. */
  readonly hostName: string;
  readonly addresses: InterfaceAddress[];
  readonly counters: InterfaceCounters;
  /** `bridge`, `bond`, `vlan`, `physical`, `loopback`, `unknown`. */
  readonly kind: string;
  readonly bridge: BridgeState | null;
  readonly bond?: BondState | null;
  readonly vlan?: VlanState | null;
}

export interface BondState {
  readonly mode: string;
  readonly transmitPolicy: string;
  readonly upDelay: number;
  readonly downDelay: number;
  readonly miiFrequency: number;
  readonly miiState: string;
  readonly lowerDevices: string[];
}

export interface VlanState {
  readonly lowerDevice: string;
  readonly vid: number;
}

export interface BridgeState {
  readonly id: string;
  readonly stp: boolean;
  readonly forwardDelay: number;
  readonly vlanDefault: number;
  readonly vlanFiltering: boolean;
  readonly upperDevices: string[];
}

/**
 * Managed networks on this host: link, addresses, dnsmasq, firewall. `ensureNetwork` makes everything so and is safe to repeat (after
 * a reboot, a flush of the firewall, a killed dnsmasq); links that exist without our mark are a `conflict`, never taken over (hazards F3).
 */
export abstract class NetworkDriver {
  abstract ensureNetwork(network: NetworkSpec): Promise<void>;
  /** Cheap check of link, addresses, dnsmasq and rules; restores what is missing. Returns what had to be restored. */
  abstract reconcileNetworks(networks: readonly NetworkSpec[]): Promise<string[]>;
  /** Takes everything down; absent is success. Leases are dropped with it. */
  abstract removeNetwork(network: NetworkSpec): Promise<void>;
  /** Takes it down but keeps leases, for a clean shutdown. */
  abstract stopNetwork(network: NetworkSpec): Promise<void>;
  abstract renameNetwork(network: NetworkSpec, newName: string): Promise<void>;
  /** Replaces the DHCP/DNS entry of one NIC; an empty `hwaddr` removes it. */
  abstract setStaticLease(networkName: string, lease: StaticLease): Promise<void>;
  abstract listLeases(network: NetworkSpec): Promise<Lease[]>;
  /** Interfaces of the host's namespace, all or the one named; `not-found` where it is absent. */
  abstract describeInterfaces(name: string): Promise<InterfaceState[]>;
  /** Subnets (CIDR) in use on this host by routes and addresses; for choosing a free one. */
  abstract listUsedSubnets(): Promise<string[]>;
}

/** Packet filter rules. Owns chains of its own networks only, marked with the state id; never flushes the table (hazards F2). */
export abstract class FirewallDriver {
  /** `nftables`; as `environment.firewall` shows it. */
  abstract readonly name: string;
  abstract ensureNetworkRules(network: NetworkSpec): Promise<void>;
  abstract hasNetworkRules(network: NetworkSpec): Promise<boolean>;
  /** Names of those whose rules are missing or not as they should be; one look for all of them. */
  abstract withoutNetworkRules(networks: readonly NetworkSpec[]): Promise<string[]>;
  abstract removeNetworkRules(networkName: string): Promise<void>;
  /** Filters of one NIC (`security.mac_filtering`, `security.ipv4_filtering`, `security.ipv6_filtering`). */
  abstract ensureNicFilter(filter: NicFilter): Promise<void>;
  abstract removeNicFilter(instance: string, device: string): Promise<void>;
  /** Puts back filters of NICs and rules of proxies that somebody flushed; `INSTANCE.DEVICE` of each. */
  abstract restoreNicFilters(): Promise<string[]>;
  /** Rules of a `proxy` device with `nat`. */
  abstract ensureProxyForward(forward: ProxyForward): Promise<void>;
  abstract removeProxyForward(instance: string, device: string): Promise<void>;
  /** Drop policies of others that would cut our traffic, one warning text each with the command that lets `networkName` through. */
  abstract foreignDrops(networkName: string): Promise<string[]>;
}

export interface NicFilter {
  /** Name on disk of the instance (project-prefixed). */
  readonly instance: string;
  readonly device: string;
  readonly hostName: string;
  readonly hwaddr: string;
  /** Addresses the NIC may use; null where that family is not filtered. */
  readonly ipv4Addresses: string[] | null;
  readonly ipv6Addresses: string[] | null;
}

/** What reaches ports of an address of the host goes on to an instance. As many ports to connect to as to listen on, or one for all. */
export interface ProxyForward {
  /** Name on disk of the instance (project-prefixed). */
  readonly instance: string;
  readonly device: string;
  readonly protocol: 'tcp' | 'udp';
  readonly family: 4 | 6;
  readonly listenAddress: string;
  readonly connectAddress: string;
  readonly listenPorts: readonly number[];
  readonly connectPorts: readonly number[];
}
