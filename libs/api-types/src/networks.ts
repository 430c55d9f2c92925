import { z } from 'zod';

const text = z.string().default('');
const config = z.record(z.string(), z.string()).nullish();

/** `POST /1.0/networks`. */
export const networksPost = z.object({
  /** Example: lxdbr1 */
  name: text,
  /** Example: bridge */
  type: text,
  description: text,
  config,
}).meta({ id: 'NetworksPost' });
export type NetworksPost = z.infer<typeof networksPost>;

/** `PUT` and `PATCH /1.0/networks/{name}`. An absent description is empty in a PUT and left alone in a PATCH. */
export const networkPut = z.object({ description: z.string().nullish(), config }).meta({ id: 'NetworkPut' });
export type NetworkPut = z.infer<typeof networkPut>;

/** `POST /1.0/networks/{name}`: rename. */
export const networkPost = z.object({ name: text }).meta({ id: 'NetworkPost' });
export type NetworkPost = z.infer<typeof networkPost>;

/** `GET /1.0/networks/{name}`. */
export interface Network {
  readonly config: Readonly<Record<string, string>>;
  readonly description: string;
  /** Example: lxdbr0 */
  readonly name: string;
  /** bridge, bond, physical, vlan, loopback, unknown */
  readonly type: string;
  /** URLs of instances and profiles. Null when nothing uses it. */
  readonly used_by: string[] | null;
  readonly managed: boolean;
  /** Created, Pending; empty for an interface that is not managed. */
  readonly status: string;
  /** Members it is defined on; `none` on a standalone one, null for an interface that is not managed. */
  readonly locations: string[] | null;
}

export interface NetworkStateAddress {
  /** inet or inet6 */
  readonly family: string;
  readonly address: string;
  /** Example: 64 */
  readonly netmask: string;
  /** global, link or local */
  readonly scope: string;
}

export interface NetworkStateBridge {
  /** Example: 8000.0a0f7c6edbd9 */
  readonly id: string;
  readonly stp: boolean;
  /** Hundredths of a second. */
  readonly forward_delay: number;
  readonly vlan_default: number;
  readonly vlan_filtering: boolean;
  readonly upper_devices: string[];
}

export interface NetworkStateBond {
  /** Example: 802.3ad */
  readonly mode: string;
  readonly transmit_policy: string;
  readonly up_delay: number;
  readonly down_delay: number;
  readonly mii_frequency: number;
  readonly mii_state: string;
  readonly lower_devices: string[];
}

/** `GET /1.0/networks/{name}/state`. */
export interface NetworkState {
  readonly addresses: NetworkStateAddress[];
  readonly counters: { readonly bytes_received: number; readonly bytes_sent: number; readonly packets_received: number; readonly packets_sent: number };
  readonly hwaddr: string;
  readonly mtu: number;
  /** up or down */
  readonly state: string;
  /** broadcast, loopback or point-to-point */
  readonly type: string;
  readonly bond: NetworkStateBond | null;
  readonly bridge: NetworkStateBridge | null;
  readonly vlan: { readonly lower_device: string; readonly vid: number } | null;
  readonly ovn: null;
}

/** Item of `GET /1.0/networks/{name}/leases`. */
export interface NetworkLease {
  readonly hostname: string;
  readonly hwaddr: string;
  readonly address: string;
  /** gateway, static or dynamic */
  readonly type: string;
  /** Member the instance runs on; empty for the gateway. */
  readonly location: string;
}

/** Ports of a forward. */
export const networkForwardPort = z.object({
  description: text,
  /** tcp or udp */
  protocol: text,
  /** Example: 80,81,8080-8090 */
  listen_port: text,
  /** Example: 80,81,8080-8090; empty for the same as `listen_port`. */
  target_port: text,
  target_address: text,
}).meta({ title: 'NetworkForwardPort' });
export type NetworkForwardPort = z.infer<typeof networkForwardPort>;

const forwardFields = { description: z.string().nullish(), config, ports: z.array(networkForwardPort).nullish() };

/** `PUT` and `PATCH /1.0/networks/{name}/forwards/{address}`. */
export const networkForwardPut = z.object(forwardFields).meta({ id: 'NetworkForwardPut' });
export type NetworkForwardPut = z.infer<typeof networkForwardPut>;

/** `POST /1.0/networks/{name}/forwards`. */
export const networkForwardsPost = z.object({ ...forwardFields, listen_address: text }).meta({ id: 'NetworkForwardsPost' });
export type NetworkForwardsPost = z.infer<typeof networkForwardsPost>;

/** `GET /1.0/networks/{name}/forwards/{address}`. */
export interface NetworkForward {
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly ports: readonly NetworkForwardPort[];
  readonly listen_address: string;
  /** Member it is on; `none` on a standalone one. */
  readonly location: string;
}

const optional = z.string().nullish();

/** A rule of an access list as clients send it. */
export const networkAclRule = z.object({
  action: optional, source: optional, destination: optional, protocol: optional, source_port: optional, destination_port: optional, icmp_type: optional, icmp_code: optional,
  description: optional, state: optional,
}).meta({ title: 'NetworkACLRule' });

/** What of a rule is not empty; `action` and `state` always. */
export interface NetworkAclRule {
  /** allow, drop or reject */
  readonly action: string;
  readonly source?: string;
  readonly destination?: string;
  /** icmp4, icmp6, tcp or udp */
  readonly protocol?: string;
  readonly source_port?: string;
  readonly destination_port?: string;
  readonly icmp_type?: string;
  readonly icmp_code?: string;
  readonly description?: string;
  /** enabled, disabled or logged */
  readonly state: string;
}

const aclFields = { description: z.string().nullish(), ingress: z.array(networkAclRule).nullish(), egress: z.array(networkAclRule).nullish(), config };

/** `PUT` and `PATCH /1.0/network-acls/{name}`. */
export const networkAclPut = z.object(aclFields).meta({ id: 'NetworkACLPut' });
export type NetworkAclPut = z.infer<typeof networkAclPut>;

/** `POST /1.0/network-acls`. */
export const networkAclsPost = z.object({ ...aclFields, name: text }).meta({ id: 'NetworkACLsPost' });
export type NetworkAclsPost = z.infer<typeof networkAclsPost>;

/** `POST /1.0/network-acls/{name}`: rename. */
export const networkAclPost = z.object({ name: text }).meta({ id: 'NetworkACLPost' });
export type NetworkAclPost = z.infer<typeof networkAclPost>;

/** `GET /1.0/network-acls/{name}`. */
export interface NetworkAcl {
  readonly name: string;
  readonly description: string;
  readonly ingress: readonly NetworkAclRule[];
  readonly egress: readonly NetworkAclRule[];
  readonly config: Readonly<Record<string, string>>;
  /** URLs of networks. */
  readonly used_by: readonly string[];
}
