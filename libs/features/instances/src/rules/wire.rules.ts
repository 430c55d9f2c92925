import { instanceStatusCodes, type ConfigMap, type DeviceMap, type Instance, type InstanceState, type InstanceStateNetwork, type InstanceType } from '#api-types';
import type { InstanceUsage, PowerState } from '#ports';
import { sorted } from './expand.rules.js';

/** What `GET` shows of one instance, before its power state. */
export interface InstanceView {
  readonly architecture: string;
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
  readonly ephemeral: boolean;
  readonly profiles: readonly string[];
  readonly stateful: boolean;
  readonly description: string;
  readonly createdAt: string;
  readonly expandedConfig: Readonly<ConfigMap>;
  readonly expandedDevices: Readonly<DeviceMap>;
  readonly name: string;
  readonly lastUsedAt: string;
  readonly location: string;
  readonly type: InstanceType;
  readonly project: string;
}

/** Fields in LXD's order. */
export function toApi(view: InstanceView, power: PowerState | 'Error'): Instance {
  return {
    architecture: view.architecture,
    config: view.config,
    devices: view.devices,
    ephemeral: view.ephemeral,
    profiles: view.profiles,
    stateful: view.stateful,
    description: view.description,
    created_at: view.createdAt,
    expanded_config: view.expandedConfig,
    expanded_devices: view.expandedDevices,
    name: view.name,
    status: power,
    status_code: instanceStatusCodes[power],
    last_used_at: view.lastUsedAt,
    location: view.location,
    type: view.type,
    project: view.project,
  };
}

/** What an ETag is computed over. */
export function etagFields(view: Pick<InstanceView, 'architecture' | 'config' | 'devices' | 'ephemeral' | 'profiles'>): unknown {
  return [view.architecture, view.config, view.devices, view.ephemeral, view.profiles];
}

/** State of an instance that does not run. */
export function stoppedState(): InstanceState {
  return {
    status: 'Stopped', status_code: instanceStatusCodes.Stopped, disk: {},
    memory: { usage: 0, usage_peak: 0, swap_usage: 0, swap_usage_peak: 0 }, network: null, pid: 0, processes: 0, cpu: { usage: 0 },
  };
}

/** `rootDevice` names the key under `disk`; a disk whose use cannot be told is left out. */
export function toStateApi(usage: InstanceUsage): InstanceState {
  const disks = usage.disks.filter((disk) => disk.usedBytes >= 0).map((disk) => [disk.device, { usage: disk.usedBytes }] as const);
  if (usage.power === 'Stopped') return { ...stoppedState(), disk: Object.fromEntries(disks) };
  return {
    status: usage.power,
    status_code: instanceStatusCodes[usage.power],
    disk: Object.fromEntries(disks),
    memory: {
      usage: usage.memoryUsageBytes, usage_peak: usage.memoryUsagePeakBytes,
      swap_usage: usage.swapUsageBytes, swap_usage_peak: usage.swapUsagePeakBytes,
    },
    network: sorted(Object.fromEntries(usage.interfaces.map((nic) => [nic.name, toNetworkApi(nic)]))),
    pid: usage.pid,
    processes: usage.processes,
    cpu: { usage: usage.cpuUsageNs },
  };
}

function toNetworkApi(nic: InstanceUsage['interfaces'][number]): InstanceStateNetwork {
  return {
    addresses: nic.addresses.map(({ family, address, netmask, scope }) => ({ family, address, netmask, scope })),
    counters: {
      bytes_received: nic.counters.bytesReceived, bytes_sent: nic.counters.bytesSent,
      packets_received: nic.counters.packetsReceived, packets_sent: nic.counters.packetsSent,
      errors_received: nic.counters.errorsReceived, errors_sent: nic.counters.errorsSent,
      packets_dropped_outbound: nic.counters.packetsDroppedOutbound, packets_dropped_inbound: nic.counters.packetsDroppedInbound,
    },
    hwaddr: nic.hwaddr, host_name: nic.hostName, mtu: nic.mtu, state: nic.state, type: nic.type,
  };
}
