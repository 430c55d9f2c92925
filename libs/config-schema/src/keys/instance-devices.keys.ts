import { invalid } from '#kernel';
import {
  isInfinibandAddress, isInterfaceName, isIpAddress, isListOf, isMacAddress, isMtu, isNetwork, isVlan, isVlanOrNone,
} from '../checks/address.checks.js';
import { isNotEmpty, isHexId, isOctalMode, isPciAddress, isSize, isUint32, isUint8, isUnixDeviceNumber, isUnixId, isUuid } from '../checks/value.checks.js';
import { isProxyAddress } from '../checks/proxy-address.checks.js';
import { isOneOf, key, KeyGroup, type KeySpec } from '../key.js';

/** Options of one type of device. Those of `requiredOptions` may not be missing. */
const text = (short: string, check?: KeySpec['check']): KeySpec => key.string({ short, ...(check === undefined ? {} : { check }) });
const must = (short: string, check: KeySpec['check'] = isNotEmpty): KeySpec => key.string({ short, check, required: true });
const flag = (short: string): KeySpec => key.bool({ short });
const number = (short: string, check: KeySpec['check']): KeySpec => key.integer({ short, check });

const bootPriority = { 'boot.priority': number('Boot order of a VM, the highest first', isUint32) };
const nicBase = {
  ...bootPriority,
  hwaddr: text('MAC address', isMacAddress),
  mtu: number('MTU inside', isMtu),
  name: text('Name of the interface inside', isInterfaceName),
};
const maas = { 'maas.subnet.ipv4': text('MAAS subnet to register in'), 'maas.subnet.ipv6': text('MAAS subnet to register in') };
// LXD takes any text for limits and filter switches; what makes no sense shows at the start.
const nicLimits = { 'limits.egress': text('Bits per second out'), 'limits.ingress': text('Bits per second in'), 'limits.max': text('Bits per second both ways') };
const nicRoutes = {
  'ipv4.routes': text('Networks routed to it by the host', isListOf(isNetwork(4))),
  'ipv6.routes': text('Networks routed to it by the host', isListOf(isNetwork(6))),
};
const externalRoutes = {
  'ipv4.routes.external': text('Networks routed to it and announced', isListOf(isNetwork(4))),
  'ipv6.routes.external': text('Networks routed to it and announced', isListOf(isNetwork(6))),
};
const addressOrNone = (family: 4 | 6) => (value: string): void => {
  if (value !== 'none') isIpAddress(family)(value);
};
const gateway = (value: string): void => {
  if (value !== 'auto' && value !== 'none') throw invalid(`Invalid gateway: ${value}`);
};
const macAndHost = { host_name: text('Name of the end on the host') };
const parent = { parent: must('Interface or bridge of the host') };
const network = { network: text('Managed network to join') };

const unixOwner = { gid: number('Owning group inside', isUnixId), mode: number('Mode inside', isOctalMode), uid: number('Owner inside', isUnixId) };
const devPath = (value: string): void => {
  if (!value.startsWith('/dev/')) throw invalid('Path needs to be in /dev');
};
const unixDevice = {
  ...unixOwner,
  major: number('Device number', isUnixDeviceNumber),
  minor: number('Device number', isUnixDeviceNumber),
  path: text('Path inside'),
  required: flag('Whether the instance needs it to start'),
  source: text('Path on the host', devPath),
};
const usbIds = { productid: text('Product id', isHexId), vendorid: text('Vendor id', isHexId) };
const gpuBase = { id: text('Card id'), pci: text('PCI address', isPciAddress), ...usbIds };
const infiniband = {
  hwaddr: text('Address', isInfinibandAddress), mtu: number('MTU', isMtu), name: text('Name inside', isInterfaceName), nictype: text('physical or sriov'), ...parent,
};
const migUuid = (value: string): void => isUuid(value.replace(/^MIG-/, ''));
const side = (value: string): void => {
  if (!['host', 'guest', 'instance', 'container'].includes(value)) throw invalid('Invalid binding side given. Must be "host" or "instance"');
};

const groups: Readonly<Record<string, Readonly<Record<string, KeySpec>>>> = {
  none: {},
  'nic-bridged': {
    ...nicBase, ...maas, ...nicLimits, ...nicRoutes, ...externalRoutes, ...macAndHost, ...network, ...parent,
    'ipv4.address': text('Address DHCP gives it', addressOrNone(4)),
    'ipv6.address': text('Address DHCP gives it', addressOrNone(6)),
    'security.ipv4_filtering': text('Stop it from using addresses of others'),
    'security.ipv6_filtering': text('Stop it from using addresses of others'),
    'security.mac_filtering': text('Stop it from using MAC addresses of others'),
    'security.port_isolation': flag('Keep it from other isolated ports'),
    vlan: text('VLAN of untagged traffic', isVlanOrNone),
    'vlan.tagged': text('VLANs of tagged traffic'),
  },
  'nic-macvlan': { ...nicBase, ...maas, ...network, ...parent, gvrp: flag('Register the VLAN by GVRP'), vlan: number('VLAN', isVlan) },
  'nic-sriov': { ...nicBase, ...maas, ...network, ...parent, 'security.mac_filtering': text('Stop it from using MAC addresses of others'), vlan: number('VLAN', isVlan) },
  'nic-physical': { ...nicBase, ...maas, ...parent, gvrp: flag('Register the VLAN by GVRP'), vlan: number('VLAN', isVlan) },
  'nic-ipvlan': {
    hwaddr: nicBase.hwaddr, mtu: nicBase.mtu, name: nicBase.name, ...parent, gvrp: flag('Register the VLAN by GVRP'), vlan: number('VLAN', isVlan),
    mode: text('l3s or l2', (value) => { if (value !== 'l3s' && value !== 'l2') throw invalid('Must be one of: l3s, l2'); }),
    'ipv4.address': text('Addresses inside'), 'ipv6.address': text('Addresses inside'),
    'ipv4.gateway': text('Default gateway'), 'ipv6.gateway': text('Default gateway'),
    'ipv4.host_table': number('Routing table of the host', isUint32), 'ipv6.host_table': number('Routing table of the host', isUint32),
  },
  'nic-p2p': { ...nicBase, ...nicLimits, ...nicRoutes, ...macAndHost },
  'nic-routed': {
    hwaddr: nicBase.hwaddr, mtu: nicBase.mtu, name: nicBase.name, ...nicLimits, ...nicRoutes, ...macAndHost, parent: text('Interface of the host'),
    gvrp: flag('Register the VLAN by GVRP'), vlan: number('VLAN', isVlan),
    'ipv4.address': text('Addresses inside', isListOf(isIpAddress(4))), 'ipv6.address': text('Addresses inside', isListOf(isIpAddress(6))),
    'ipv4.gateway': text('auto or none', gateway), 'ipv6.gateway': text('auto or none', gateway),
    'ipv4.host_address': text('Address of the end on the host', isIpAddress(4)), 'ipv6.host_address': text('Address of the end on the host', isIpAddress(6)),
    'ipv4.host_table': number('Routing table of the host', isUint32), 'ipv6.host_table': number('Routing table of the host', isUint32),
    'ipv4.neighbor_probe': flag('Probe whether the address is free'), 'ipv6.neighbor_probe': flag('Probe whether the address is free'),
  },
  'nic-ovn': {
    ...bootPriority, ...macAndHost, ...nicRoutes, ...externalRoutes, hwaddr: nicBase.hwaddr, name: nicBase.name, network: must('Managed network to join'),
    acceleration: text('none or sriov', isOneOf('none', 'sriov')),
    'ipv4.address': text('Address inside', isIpAddress(4)), 'ipv6.address': text('Address inside', isIpAddress(6)),
    'security.acls': text('ACLs that apply'),
    'security.acls.default.egress.action': text('What happens to the rest', isOneOf('allow', 'reject', 'drop')),
    'security.acls.default.egress.logged': flag('Log the rest'),
    'security.acls.default.ingress.action': text('What happens to the rest', isOneOf('allow', 'reject', 'drop')),
    'security.acls.default.ingress.logged': flag('Log the rest'),
  },
  disk: {
    ...bootPriority,
    'ceph.cluster_name': text('Ceph cluster'), 'ceph.user_name': text('Ceph user'),
    'limits.max': text('Bytes per second, or operations with iops behind'), 'limits.read': text('The same for reads'), 'limits.write': text('The same for writes'),
    optional: flag('Former opposite of required'), path: text('Path inside'), pool: text('Storage pool of a volume'),
    propagation: text('How mounts below it are shared'), 'raw.mount.options': text('Options of the file system'), readonly: flag('Mount it read-only'),
    recursive: flag('Mount what is mounted below too'), required: flag('Whether the instance needs it to start'), shift: flag('Translate owners of files'),
    size: text('Quota of the root disk', isSize), 'size.state': text('Size of the volume for the runtime state of a VM', isSize), source: text('Path on the host, or volume'),
  },
  'unix-char': unixDevice,
  'unix-block': unixDevice,
  'unix-hotplug': { ...unixOwner, ...usbIds, required: flag('Whether the instance needs it to start') },
  usb: { ...unixOwner, ...usbIds, required: flag('Whether the instance needs it to start') },
  'gpu-physical': { ...gpuBase, ...unixOwner },
  'gpu-mdev': { ...gpuBase, mdev: must('Profile of the mediated device') },
  'gpu-mig': { ...gpuBase, 'mig.ci': number('Compute instance', isUint8), 'mig.gi': number('GPU instance', isUint8), 'mig.uuid': text('Device', migUuid) },
  'gpu-sriov': gpuBase,
  pci: { address: must('PCI address', isPciAddress) },
  tpm: { path: text('Path inside'), pathrm: text('Path of the resource manager inside') },
  'infiniband-physical': infiniband,
  'infiniband-sriov': infiniband,
  proxy: {
    bind: text('Side that listens', side), connect: must('Where to connect to', isProxyAddress), listen: must('Where to listen', isProxyAddress),
    gid: number('Group of a listening socket', isUnixId), mode: number('Mode of a listening socket', isOctalMode), uid: number('Owner of a listening socket', isUnixId),
    nat: flag('Forward by the firewall'), proxy_protocol: flag('Send the PROXY header'),
    'security.gid': number('Group to run as', isUnixId), 'security.uid': number('User to run as', isUnixId),
  },
};

/** Options by type of device (`disk`, `nic-bridged`, ...), the common ones (`type`, `nictype`, `gputype`, `user.*`) left out. */
export const deviceKeys: ReadonlyMap<string, KeyGroup> = new Map(Object.entries(groups).map(([type, keys]) => [type, new KeyGroup(`device-${type}`, keys)]));

