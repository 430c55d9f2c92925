import type { InstanceRoute } from '#host';
import { isFalse } from '#kernel';
import { portVlansOf, type PortVlans } from './port-vlans.js';

type Config = Readonly<Record<string, string>>;
type Family = 4 | 6;

/** What the host keeps for a NIC beside its link. Routes by the NIC's own link and addresses on it go with it, the others must be taken away. */
export interface NicHostPlan {
  readonly routes: readonly (InstanceRoute & { readonly outlives: boolean })[];
  /** Of the host, on the NIC's link. */
  readonly addresses: readonly string[];
  /** Addresses the host answers for on another link. */
  readonly proxied: readonly { readonly address: string; readonly link: string }[];
  /** Below /proc/sys/net. */
  readonly sysctls: readonly (readonly [string, string])[];
  /** Of the port that a bridged NIC is; missing where nothing is said of them. */
  readonly vlans?: PortVlans;
}

const hostAddress: Readonly<Record<Family, string>> = { 4: '169.254.0.1', 6: 'fe80::1' };

export function addressList(config: Config, option: string): string[] {
  return (config[option] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '' && text !== 'none');
}

/** Where a routed NIC sends everything; empty for nowhere. */
export function routedGateway(config: Config, family: Family): string {
  if (config[`ipv${family}.gateway`] === 'none' || addressList(config, `ipv${family}.address`).length === 0) return '';
  return config[`ipv${family}.host_address`] || hostAddress[family];
}

/** `link` is the host's end, `parent` the bridge, or the link a routed NIC is reached by. */
export function nicHostPlan(kind: string, config: Config, link: string, parent: string): NicHostPlan {
  if (kind === 'routed') return routedPlan(config, link, parent);
  if (kind === 'ipvlan') return { routes: ipvlanRoutes(config), addresses: [], proxied: [], sysctls: [] };
  const bridged = kind === 'bridged';
  const subnets = ['ipv4.routes', 'ipv6.routes', ...(bridged ? ['ipv4.routes.external', 'ipv6.routes.external'] : [])].flatMap((option) => addressList(config, option));
  if (!bridged && kind !== 'p2p') return { routes: [], addresses: [], proxied: [], sysctls: [] };
  const vlans = bridged && parent !== '' ? portVlansOf(config) : null;
  return {
    routes: subnets.map((subnet) => ({ subnet, link: bridged ? parent : link, via: '', table: '', outlives: bridged })), addresses: [], proxied: [], sysctls: [],
    ...(vlans === null ? {} : { vlans }),
  };
}

/** LXC makes those of the main table. */
function ipvlanRoutes(config: Config): NicHostPlan['routes'] {
  return ([4, 6] as const).flatMap((family) => {
    const table = config[`ipv${family}.host_table`] ?? '';
    const subnets = addressList(config, `ipv${family}.address`).map((address) => `${address.split('/')[0]}/${family === 4 ? 32 : 128}`);
    return table === '' ? [] : subnets.map((subnet) => ({ subnet, link: 'lo', via: '', table, outlives: true }));
  });
}

/** Settings of the parent without which an ipvlan NIC in layer 3 reaches nobody, as LXD names them. */
export function ipvlanSettings(config: Config, parent: string): string[] {
  if ((config['mode'] || 'l3s') !== 'l3s') return [];
  const has = (family: Family): boolean => addressList(config, `ipv${family}.address`).length > 0;
  return [...(has(4) ? [`ipv4.conf.${parent}.forwarding`] : []), ...(has(6) ? [`ipv6.conf.${parent}.forwarding`, `ipv6.conf.${parent}.proxy_ndp`] : [])];
}

function routedPlan(config: Config, link: string, parent: string): NicHostPlan {
  const families = ([4, 6] as const).filter((family) => addressList(config, `ipv${family}.address`).length > 0);
  return {
    sysctls: families.flatMap((family) => [
      [`ipv${family}/conf/${link}/forwarding`, '1'] as const,
      ...(family === 6 ? [[`ipv6/conf/${link}/accept_ra`, '0'] as const, ...(parent === '' ? [] : [[`ipv6/conf/${parent}/proxy_ndp`, '1'] as const])] : []),
    ]),
    addresses: families.map((family) => `${config[`ipv${family}.host_address`] || hostAddress[family]}/${family === 4 ? 32 : 128}`),
    routes: families.flatMap((family) => {
      const addresses = addressList(config, `ipv${family}.address`);
      const table = config[`ipv${family}.host_table`] ?? '';
      const own = addresses.flatMap((address) => ['', ...(table === '' ? [] : [table])].map((at) => ({ subnet: `${address}/${family === 4 ? 32 : 128}`, link, via: '', table: at, outlives: false })));
      const behind = addressList(config, `ipv${family}.routes`).map((subnet) => ({ subnet, link, via: addresses[0] ?? '', table: '', outlives: false }));
      return [...own, ...behind];
    }),
    proxied: parent === '' ? [] : families.flatMap((family) => addressList(config, `ipv${family}.address`).map((address) => ({ address, link: parent }))),
  };
}

/** Addresses of a routed NIC that nobody on the parent's network may have already. */
export function probedAddresses(config: Config): string[] {
  return ([4, 6] as const).flatMap((family) => (isFalse(config[`ipv${family}.neighbor_probe`]) ? [] : addressList(config, `ipv${family}.address`)));
}
