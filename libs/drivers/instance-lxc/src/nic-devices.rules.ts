import { invalid, randomHex } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';

export interface NicPlan {
  readonly device: string;
  readonly kind: 'veth' | 'macvlan' | 'ipvlan' | 'phys';
  /** As configured: `bridged`, `p2p`, `routed`, `physical`, ... */
  readonly nictype: string;
  /** Name inside. */
  readonly name: string;
  /** Name of the host's end of a veth; empty for other kinds. */
  readonly hostName: string;
  /** Bridge or other link of the host; empty for a veth that joins none. */
  readonly parent: string;
  readonly mac: string;
  /** It hangs on a VLAN whose link was made for it. */
  readonly madeVlan?: boolean;
  /** 0 for the parent's. */
  readonly mtu: number;
  /** A device of type `infiniband`: its address and MTU are set on the host. */
  readonly infiniband?: boolean;
}

export interface NicPlans {
  readonly nics: NicPlan[];
  /** `volatile.*` keys for what was chosen here. */
  readonly volatile: Record<string, string>;
}

const maximumNames = 1000;

/**
 * The network interfaces of an instance, in the order of its devices. What the configuration leaves open comes from `volatile.*`, and
 * what is not there either is chosen: names `eth0` on, MAC addresses with LXD's prefix. Host names are new at each start, as in LXD,
 * unless `host_name` fixes them. `taken` are those of interfaces that exist already: device name to host name.
 */
export function planNics(spec: InstanceSpec, taken: ReadonlyMap<string, string> = new Map()): NicPlans {
  const devices = spec.devices.filter(isInterface);
  const names = new Set(devices.map(({ name, config }) => config['name'] || spec.config[`volatile.${name}.name`] || ''));
  const volatile: Record<string, string> = {};
  const chooseName = (prefix: 'eth' | 'ib'): string => {
    for (let number = 0; number < maximumNames; number++) {
      if (!names.has(`${prefix}${number}`)) {
        names.add(`${prefix}${number}`);
        return `${prefix}${number}`;
      }
    }
    throw invalid('Failed finding a free interface name');
  };
  const remember = (device: string, key: string, value: string): string => {
    volatile[`volatile.${device}.${key}`] = value;
    return value;
  };
  const nics = devices.map(({ name: device, config }): NicPlan => {
    const known = (key: string): string => config[key] || spec.config[`volatile.${device}.${key}`] || '';
    const infiniband = config['type'] === 'infiniband';
    const network = spec.nics.find((nic) => nic.device === device);
    const nictype = config['nictype'] || 'bridged';
    const kind = kindOf(nictype, device);
    const parent = network?.parent || config['parent'] || '';
    const hostName = kind === 'veth' ? taken.get(device) ?? (config['host_name'] || `veth${randomHex(4)}`) : '';
    if (hostName !== '') remember(device, 'host_name', hostName);
    return {
      device, kind, nictype, hostName, parent: nictype === 'p2p' ? '' : parent,
      name: known('name') || remember(device, 'name', chooseName(infiniband ? 'ib' : 'eth')),
      ...(infiniband ? { infiniband } : {}),
      mac: infiniband ? '' : kind === 'phys' || kind === 'ipvlan' ? config['hwaddr'] ?? '' : known('hwaddr') || remember(device, 'hwaddr', `00:16:3e:${randomHex(3).match(/../g)!.join(':')}`),
      mtu: Number(config['mtu'] || network?.networkConfig['bridge.mtu'] || 0),
    };
  });
  return { nics, volatile };
}

/** Whether a device is a network interface inside. */
export function isInterface({ config }: Pick<DeviceSpec, 'config'>): boolean {
  return config['type'] === 'nic' || config['type'] === 'infiniband';
}

function kindOf(type: string, device: string): NicPlan['kind'] {
  if (type === 'bridged' || type === 'p2p' || type === 'routed') return 'veth';
  if (type === 'macvlan' || type === 'ipvlan') return type;
  // A virtual function is a link of the host too.
  if (type === 'physical' || type === 'sriov') return 'phys';
  throw invalid(`Network interface type "${type}" of device "${device}" is not supported on this host`);
}
