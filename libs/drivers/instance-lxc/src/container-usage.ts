import { readFileSync } from 'node:fs';
import {
  IFF_BROADCAST, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_UP, parseCpuList, parseFlatKeys, readCgroupFile, readCgroupNumber,
  type CgroupDirectories, type NamespaceNetwork, type Netlink,
} from '#host';
import type { CpuTimes, DiskUsage, InstanceUsage, InterfaceState, IoCounters, PowerState } from '#ports';
import { memoryTotalBytes } from './host-memory.js';
import type { RunningContainer } from './running-containers.js';

type CgroupUsage = Pick<
  InstanceUsage,
  'processes' | 'cpuUsageNs' | 'cpuTimes' | 'effectiveCpus' | 'memoryUsageBytes' | 'memoryUsagePeakBytes' | 'memoryTotalBytes'
  | 'swapUsageBytes' | 'swapUsagePeakBytes' | 'memoryStat' | 'oomKills' | 'io'
>;

const userTickNs = 10_000_000;
const deviceNames = new Map<string, string>();

export function stoppedUsage(projectName: string, disks: DiskUsage[]): InstanceUsage {
  return {
    projectName, power: 'Stopped', pid: 0, processes: 0, cpuUsageNs: 0, cpuTimes: [], effectiveCpus: 0, memoryUsageBytes: 0,
    memoryUsagePeakBytes: 0, memoryTotalBytes: 0, swapUsageBytes: 0, swapUsagePeakBytes: 0, memoryStat: {}, oomKills: 0, interfaces: [], disks, io: [],
  };
}

/** Everything the kernel counts for one container: a dozen small files and one netlink dialogue, no process. */
export function runningUsage(container: RunningContainer, power: PowerState, netlink: Netlink, disks: DiskUsage[], hostNameOf: (index: number) => string): InstanceUsage {
  const { init, cgroups } = container.record;
  return {
    projectName: container.projectName, power, pid: init.pid, disks,
    ...(cgroups['memory'] === undefined && cgroups['cpuacct'] === undefined ? usageV2(cgroups[''] ?? '') : usageV1(cgroups)),
    interfaces: interfacesOf(init.pid, netlink, hostNameOf),
  };
}

function usageV1(cgroups: CgroupDirectories): CgroupUsage {
  const file = (controller: string, name: string): string => `${cgroups[controller]}/${name}`;
  const number = (controller: string, name: string): number => readCgroupNumber(file(controller, name)) ?? 0;
  const times = parseCpuTimes(readCgroupFile(file('cpuacct', 'cpuacct.usage_all')));
  const ticks = parseFlatKeys(readCgroupFile(file('cpuacct', 'cpuacct.stat')));
  const memory = number('memory', 'memory.usage_in_bytes');
  const peak = number('memory', 'memory.max_usage_in_bytes');
  const total = readCgroupNumber(file('memory', 'memory.memsw.usage_in_bytes'));
  const totalPeak = readCgroupNumber(file('memory', 'memory.memsw.max_usage_in_bytes'));
  return {
    processes: number('pids', 'pids.current'), cpuUsageNs: number('cpuacct', 'cpuacct.usage'),
    cpuTimes: times.length > 0 ? times : [{ cpu: 0, userNs: (ticks['user'] ?? 0) * userTickNs, systemNs: (ticks['system'] ?? 0) * userTickNs }],
    effectiveCpus: parseCpuList(readCgroupFile(file('cpuset', 'cpuset.cpus')) ?? '')?.length ?? 0,
    memoryUsageBytes: memory, memoryUsagePeakBytes: peak, memoryTotalBytes: limitOrAll(number('memory', 'memory.limit_in_bytes')),
    swapUsageBytes: total === null ? 0 : Math.max(total - memory, 0), swapUsagePeakBytes: totalPeak === null ? 0 : Math.max(totalPeak - peak, 0),
    memoryStat: ownMemoryStat(parseFlatKeys(readCgroupFile(file('memory', 'memory.stat')))),
    oomKills: parseFlatKeys(readCgroupFile(file('memory', 'memory.oom_control')))['oom_kill'] ?? 0,
    io: ioV1(readCgroupFile(file('blkio', 'blkio.throttle.io_service_bytes')), readCgroupFile(file('blkio', 'blkio.throttle.io_serviced'))),
  };
}

/** On v1 the `total_` fields count nested cgroups too, which is what the container uses; they take the plain names. */
function ownMemoryStat(stat: Readonly<Record<string, number>>): Record<string, number> {
  const own: Record<string, number> = {};
  for (const [key, value] of Object.entries(stat)) {
    if (key.startsWith('total_')) own[key.slice('total_'.length)] = value;
    else own[key] ??= value;
  }
  return own;
}

function usageV2(directory: string): CgroupUsage {
  const number = (name: string): number | null => readCgroupNumber(`${directory}/${name}`);
  const cpu = parseFlatKeys(readCgroupFile(`${directory}/cpu.stat`));
  const memory = number('memory.current') ?? 0;
  const swap = number('memory.swap.current') ?? 0;
  return {
    processes: number('pids.current') ?? 0, cpuUsageNs: (cpu['usage_usec'] ?? 0) * 1000,
    cpuTimes: [{ cpu: 0, userNs: (cpu['user_usec'] ?? 0) * 1000, systemNs: (cpu['system_usec'] ?? 0) * 1000 }],
    effectiveCpus: parseCpuList(readCgroupFile(`${directory}/cpuset.cpus.effective`) ?? '')?.length ?? 0,
    memoryUsageBytes: memory, memoryUsagePeakBytes: number('memory.peak') ?? 0, memoryTotalBytes: limitOrAll(number('memory.max') ?? Infinity),
    swapUsageBytes: swap, swapUsagePeakBytes: number('memory.swap.peak') ?? 0,
    memoryStat: parseFlatKeys(readCgroupFile(`${directory}/memory.stat`)),
    oomKills: parseFlatKeys(readCgroupFile(`${directory}/memory.events`))['oom_kill'] ?? 0,
    io: parseIoV2(readCgroupFile(`${directory}/io.stat`) ?? '').map((counters) => ({ ...counters, device: deviceName(counters.device) })),
  };
}

function limitOrAll(limit: number): number {
  const total = memoryTotalBytes();
  return limit > 0 && limit < total ? limit : total;
}

/** A heading, then `CPU USER SYSTEM` lines, nanoseconds. */
export function parseCpuTimes(text: string | null): CpuTimes[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const [, cpu, userNs, systemNs] = /^(\d+) (\d+) (\d+)$/.exec(line) ?? [];
    return cpu === undefined ? [] : [{ cpu: Number(cpu), userNs: Number(userNs), systemNs: Number(systemNs) }];
  });
}

/** `254:0 Read 4096` lines of two files. */
export function parseIoV1(bytes: string, operations: string): IoCounters[] {
  const devices = new Map<string, { readBytes: number; writtenBytes: number; reads: number; writes: number }>();
  const add = (text: string, read: 'readBytes' | 'reads', write: 'writtenBytes' | 'writes'): void => {
    for (const line of text.split('\n')) {
      const [device = '', kind, value] = line.split(' ');
      if (value === undefined || (kind !== 'Read' && kind !== 'Write')) continue;
      const entry = devices.get(device) ?? { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 };
      devices.set(device, entry);
      entry[kind === 'Read' ? read : write] += Number(value);
    }
  };
  add(bytes, 'readBytes', 'writtenBytes');
  add(operations, 'reads', 'writes');
  return [...devices].map(([device, counters]) => ({ device, ...counters }));
}

function ioV1(bytes: string | null, operations: string | null): IoCounters[] {
  return parseIoV1(bytes ?? '', operations ?? '').map((counters) => ({ ...counters, device: deviceName(counters.device) }));
}

/** `254:0 rbytes=1 wbytes=2 rios=3 wios=4 ...` lines. */
export function parseIoV2(text: string): IoCounters[] {
  return text.split('\n').filter((line) => line !== '').map((line) => {
    const [device = '', ...fields] = line.split(' ');
    const value = (key: string): number => Number(fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1) ?? 0);
    return { device, readBytes: value('rbytes'), writtenBytes: value('wbytes'), reads: value('rios'), writes: value('wios') };
  });
}

/** `254:0` to `vda`; the number itself for a device that is gone. */
function deviceName(number: string): string {
  let name = deviceNames.get(number);
  if (name === undefined) {
    try {
      name = /^DEVNAME=(.*)$/m.exec(readFileSync(`/sys/dev/block/${number}/uevent`, 'latin1'))?.[1] ?? number;
    } catch {
      name = number;
    }
    deviceNames.set(number, name);
  }
  return name;
}

function interfacesOf(pid: number, netlink: Netlink, hostNameOf: (index: number) => string): InterfaceState[] {
  try {
    return interfaceStates(netlink.describe(pid), hostNameOf);
  } catch {
    return []; // It ended between two looks.
  }
}

/** The port's view of a namespace's network; `hostNameOf` names a link of the host by its index. */
export function interfaceStates({ links, addresses }: NamespaceNetwork, hostNameOf: (index: number) => string): InterfaceState[] {
  return links.map((link) => ({
    name: link.name,
    type: link.flags & IFF_LOOPBACK ? 'loopback' : link.flags & IFF_POINTOPOINT ? 'point-to-point' : link.flags & IFF_BROADCAST ? 'broadcast' : 'unknown',
    state: link.flags & IFF_UP ? 'up' : 'down', hwaddr: link.mac, mtu: link.mtu, hostName: link.kind === 'veth' ? hostNameOf(link.peer) : '',
    addresses: addresses.filter(({ index }) => index === link.index).map(({ family, address, prefix, scope }) => ({ family, address, netmask: `${prefix}`, scope })),
    counters: {
      bytesReceived: link.counters.rxBytes, bytesSent: link.counters.txBytes, packetsReceived: link.counters.rxPackets, packetsSent: link.counters.txPackets,
      errorsReceived: link.counters.rxErrors, errorsSent: link.counters.txErrors, packetsDroppedInbound: link.counters.rxDropped, packetsDroppedOutbound: link.counters.txDropped,
    },
    kind: link.flags & IFF_LOOPBACK ? 'loopback' : ['bridge', 'bond', 'vlan'].includes(link.kind) ? link.kind : 'unknown', bridge: null,
  }));
}
