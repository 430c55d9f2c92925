import type { Invocation } from '../../invocation.js';
import { bytesIec } from '../../output/units.js';
import { url, type Server } from '../../server.js';

type Raw = Record<string, any>;

/** The hardware of a server. */
export async function showResources(invocation: Invocation, server: Server): Promise<void> {
  const all = await server.get<Raw>(url(['resources'], { target: invocation.flags.text('target') }));
  const sections = [cpu(all['cpu']), memory(all['memory']), several('GPU', all['gpu']?.cards, gpu), several('NIC', all['network']?.cards, nic), several('Disk', all['storage']?.disks, disk), several('USB device', all['usb']?.devices, usb)];
  invocation.print(sections.filter((lines) => lines.length > 0).map((lines) => lines.join('\n')).join('\n\n'));
}

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** One is shown as it is, several numbered. */
function several(title: string, list: Raw[] | null | undefined, show: (one: Raw) => string[]): string[] {
  if (!list || list.length === 0) return [];
  if (list.length === 1) return [`${title}:`, ...indent(show(list[0]!))];
  return [`${title}s:`, ...list.flatMap((one, index) => indent([`${title} ${index}:`, ...indent(show(one))]))];
}

function cpu(info: Raw | undefined): string[] {
  const sockets = (info?.['sockets'] ?? []) as Raw[];
  const architecture = String(info?.['architecture'] ?? '');
  const show = (socket: Raw): string[] => [
    ...(socket['vendor'] ? [`Vendor: ${socket['vendor']}`] : []), ...(socket['name'] ? [`Name: ${socket['name']}`] : []),
    ...(socket['cache']?.length ? ['Caches:', ...(socket['cache'] as Raw[]).map((cache) => `  - Level ${cache['level']} (type: ${cache['type']}): ${bytesIec(cache['size'], 0)}`)] : []),
    'Cores:', ...(socket['cores'] as Raw[]).flatMap((core) => [
      `  - Core ${core['core']}`, `    Frequency: ${core['frequency'] ?? 0}Mhz`, '    Threads:',
      ...(core['threads'] as Raw[]).map((thread) => `      - ${thread['thread']} (id: ${thread['id']}, online: ${thread['online']}, NUMA node: ${thread['numa_node']})`),
    ]),
    ...(socket['frequency'] ? [`Frequency: ${socket['frequency']}Mhz (min: ${socket['frequency_minimum'] ?? 0}Mhz, max: ${socket['frequency_turbo'] ?? 0}Mhz)`] : []),
  ];
  if (sockets.length === 0) return [];
  if (sockets.length === 1) return [`CPU (${architecture}):`, ...indent(show(sockets[0]!))];
  return [`CPUs (${architecture}):`, ...sockets.flatMap((socket) => indent([`Socket ${socket['socket']}:`, ...indent(show(socket))]))];
}

function memory(info: Raw | undefined): string[] {
  if (!info) return [];
  const use = (of: Raw): string[] => [`Free: ${bytesIec(of['total'] - of['used'])}`, `Used: ${bytesIec(of['used'])}`, `Total: ${bytesIec(of['total'])}`];
  const huge = info['hugepages_total'] > 0 ? ['Hugepages:', ...indent([`Free: ${bytesIec(info['hugepages_total'] - info['hugepages_used'])}`, `Used: ${bytesIec(info['hugepages_used'])}`, `Total: ${bytesIec(info['hugepages_total'])}`])] : [];
  const nodes = (info['nodes'] ?? []) as Raw[];
  const numa = nodes.length > 1 ? ['NUMA nodes:', ...nodes.flatMap((node) => indent([`Node ${node['numa_node']}:`, ...indent(use(node))]))] : [];
  return ['Memory:', ...indent([...huge, ...numa, ...use(info)])];
}

const driverOf = (card: Raw): string[] => (card['driver'] ? [`Driver: ${card['driver']} (${card['driver_version']})`] : []);
const identity = (card: Raw): string[] => [
  `NUMA node: ${card['numa_node']}`, ...(card['vendor'] ? [`Vendor: ${card['vendor']}${card['vendor_id'] ? ` (${card['vendor_id']})` : ''}`] : []),
  ...(card['product'] ? [`Product: ${card['product']}${card['product_id'] ? ` (${card['product_id']})` : ''}`] : []), ...(card['pci_address'] ? [`PCI address: ${card['pci_address']}`] : []), ...driverOf(card),
];

function gpu(card: Raw): string[] {
  const drm = card['drm'] as Raw | undefined;
  const nvidia = card['nvidia'] as Raw | undefined;
  return [
    ...identity(card), ...(drm ? ['DRM:', ...indent([`ID: ${drm['id']}`, `Card: ${drm['card_name']} (${drm['card_device']})`, ...(drm['control_name'] ? [`Control: ${drm['control_name']} (${drm['control_device']})`] : []), ...(drm['render_name'] ? [`Render: ${drm['render_name']} (${drm['render_device']})`] : [])])] : []),
    ...(nvidia ? ['NVIDIA information:', ...indent([`Architecture: ${nvidia['architecture']}`, `Brand: ${nvidia['brand']}`, `Model: ${nvidia['model']}`, `CUDA Version: ${nvidia['cuda_version']}`, `NVRM Version: ${nvidia['nvrm_version']}`, `UUID: ${nvidia['uuid']}`])] : []),
    ...(card['sriov'] ? ['SR-IOV information:', ...indent([`Current number of VFs: ${card['sriov'].current_vfs}`, `Maximum number of VFs: ${card['sriov'].maximum_vfs}`])] : []),
  ];
}

function nic(card: Raw): string[] {
  const ports = (card['ports'] ?? []) as Raw[];
  const port = (one: Raw): string[] => [
    `- Port ${one['port']} (${one['protocol']})`,
    ...indent([
      `ID: ${one['id']}`, ...(one['address'] ? [`Address: ${one['address']}`] : []), ...(one['supported_modes']?.length ? [`Supported modes: ${(one['supported_modes'] as string[]).join(', ')}`] : []),
      ...(one['supported_ports']?.length ? [`Supported ports: ${(one['supported_ports'] as string[]).join(', ')}`] : []), ...(one['port_type'] ? [`Port type: ${one['port_type']}`] : []),
      ...(one['transceiver_type'] ? [`Transceiver type: ${one['transceiver_type']}`] : []), `Auto negotiation: ${one['auto_negotiation']}`, `Link detected: ${one['link_detected']}`,
      ...(one['link_speed'] ? [`Link speed: ${one['link_speed']}Mbit/s (${one['link_duplex']} duplex)`] : []),
    ]),
  ];
  return [
    ...identity(card), ...(ports.length > 0 ? ['Ports:', ...ports.flatMap((one) => indent(port(one)))] : []),
    ...(card['sriov'] ? ['SR-IOV information:', ...indent([`Current number of VFs: ${card['sriov'].current_vfs}`, `Maximum number of VFs: ${card['sriov'].maximum_vfs}`])] : []),
  ];
}

function disk(one: Raw): string[] {
  const partitions = (one['partitions'] ?? []) as Raw[];
  return [
    `NUMA node: ${one['numa_node']}`, `ID: ${one['id']}`, `Device: ${one['device']}`, ...(one['model'] ? [`Model: ${one['model']}`] : []), ...(one['type'] ? [`Type: ${one['type']}`] : []),
    `Size: ${bytesIec(one['size'])}`, ...(one['wwn'] ? [`WWN: ${one['wwn']}`] : []), `Read-Only: ${one['read_only']}`, `Removable: ${one['removable']}`,
    ...(partitions.length > 0 ? ['Partitions:', ...partitions.flatMap((part) => indent([`- Partition ${part['partition']}`, ...indent([`ID: ${part['id']}`, `Device: ${part['device']}`, `Read-Only: ${part['read_only']}`, `Size: ${bytesIec(part['size'])}`])]))] : []),
  ];
}

function usb(one: Raw): string[] {
  return [`Vendor: ${one['vendor']}`, `Vendor ID: ${one['vendor_id']}`, `Product: ${one['product']}`, `Product ID: ${one['product_id']}`, `Bus Address: ${one['bus_address']}`, `Device Address: ${one['device_address']}`];
}
