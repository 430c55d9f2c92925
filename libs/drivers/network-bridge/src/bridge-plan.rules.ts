import { isFalse } from '#kernel';
import type { NetworkSpec } from '#ports';

/** A tunnel to another host, made a port of the bridge. */
export interface TunnelPlan {
  readonly name: string;
  readonly protocol: 'gre' | 'vxlan';
  readonly id: number;
  readonly group: string;
  /** Parent of a multicast tunnel; empty: the interface of the default route. */
  readonly parent: string;
  readonly ttl: string;
  readonly local: string;
  readonly remote: string;
  readonly port: number;
}

/** What a network's specification asks of the host's links. */
export interface BridgePlan {
  readonly name: string;
  readonly hwaddr: string;
  readonly mtu: number;
  /** CIDR of the bridge itself, per family; empty without. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly ipv4Routing: boolean;
  readonly ipv6Routing: boolean;
  /** Subnets routed to the bridge besides its own. */
  readonly routes: readonly string[];
  readonly externalInterfaces: readonly string[];
  readonly tunnels: readonly TunnelPlan[];
}

const defaultMtu = 1500;
const tunnelMtu = 1400;

/** Pure: specification in, plan out. */
export function planBridge({ name, config }: NetworkSpec): BridgePlan {
  const tunnels = planTunnels(name, config);
  const ipv4 = addressOf(config['ipv4.address']);
  const ipv6 = addressOf(config['ipv6.address']);
  return {
    name, ipv4, ipv6, tunnels,
    hwaddr: config['bridge.hwaddr'] || config['volatile.bridge.hwaddr'] || '',
    mtu: Number(config['bridge.mtu'] || (tunnels.length > 0 ? tunnelMtu : defaultMtu)),
    ipv4Routing: !isFalse(config['ipv4.routing']),
    ipv6Routing: !isFalse(config['ipv6.routing']),
    routes: [...(ipv4 === '' ? [] : splitList(config['ipv4.routes'])), ...(ipv6 === '' ? [] : splitList(config['ipv6.routes']))],
    externalInterfaces: splitList(config['bridge.external_interfaces']),
  };
}

/** Items of a comma-separated list, blanks around them ignored. */
export function splitList(text: string | undefined): string[] {
  return (text ?? '').split(',').map((item) => item.trim()).filter((item) => item !== '');
}

/** The address, or the empty text where the family is off. */
export function addressOf(value: string | undefined): string {
  return value === undefined || value === 'none' ? '' : value;
}

/** Tunnels without what they need to be made (a vxlan is complete with multicast defaults, a gre needs both ends) are left out, as LXD does. */
function planTunnels(network: string, config: Readonly<Record<string, string>>): TunnelPlan[] {
  const names = new Set(Object.keys(config).filter((key) => key.startsWith('tunnel.')).map((key) => key.split('.')[1] ?? ''));
  return [...names].sort().flatMap((name) => {
    const get = (key: string): string => config[`tunnel.${name}.${key}`] ?? '';
    const protocol = get('protocol');
    const [local, remote] = [get('local'), get('remote')];
    const twoEnds = local !== '' && remote !== '';
    if (protocol !== 'gre' && protocol !== 'vxlan') return [];
    if (protocol === 'gre' && !twoEnds) return [];
    return [{
      name: `${network}-${name}`, protocol, local, remote,
      id: Number(get('id') || '1'), group: twoEnds ? '' : get('group') || '239.0.0.1', parent: get('interface'),
      ttl: get('ttl') || '1', port: Number(get('port') || '0'),
    }];
  });
}
