import type { InstanceUsage } from '#ports';

/** One running instance to measure. */
export interface MeasuredInstance {
  readonly name: string;
  readonly project: string;
  readonly type: string;
  readonly usage: InstanceUsage;
  /** The pool the root file system lies in; null where it could not be measured. */
  readonly filesystem: { readonly type: string; readonly sizeBytes: number; readonly freeBytes: number } | null;
}

/** Type of the file system a path lies in, by the text of /proc/self/mounts; empty where it is not told. */
export function fileSystemType(mounts: string, path: string): string {
  let [longest, type] = ['', ''];
  for (const line of mounts.split('\n')) {
    const [, mounted, found] = line.split(' ');
    if (mounted === undefined || found === undefined || mounted.length < longest.length) continue;
    const directory = mounted.replace(/\\(\d{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`)) [longest, type] = [mounted, found];
  }
  return type;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: (instance: MeasuredInstance) => Sample[];
}

const seconds = (ns: number): number => ns / 1e9;

function cpu({ usage }: MeasuredInstance): Sample[] {
  return usage.cpuTimes.flatMap(({ cpu: number, userNs, systemNs }): Sample[] => [
    [{ cpu: String(number), mode: 'system' }, seconds(systemNs)], [{ cpu: String(number), mode: 'user' }, seconds(userNs)],
  ]);
}

const io = (pick: (counters: InstanceUsage['io'][number]) => number) => ({ usage }: MeasuredInstance): Sample[] =>
  usage.io.map((counters) => [{ device: counters.device }, pick(counters)]);

const network = (pick: (counters: InstanceUsage['interfaces'][number]['counters']) => number) => ({ usage }: MeasuredInstance): Sample[] =>
  usage.interfaces.map((nic) => [{ device: nic.name }, pick(nic.counters)]);

const filesystem = (pick: (fs: NonNullable<MeasuredInstance['filesystem']>) => number) => ({ filesystem: fs }: MeasuredInstance): Sample[] =>
  fs === null ? [] : [[{ device: '', fstype: fs.type, mountpoint: '/' }, pick(fs)]];

/** Fields of memory.stat have other names with version 1 of control groups (first) than with 2. */
const stat = (...names: string[]) => ({ usage }: MeasuredInstance): Sample[] => {
  const found = names.find((name) => usage.memoryStat[name] !== undefined);
  return found === undefined ? [] : [[{}, usage.memoryStat[found]!]];
};
const statSum = (a: string, b: string) => ({ usage }: MeasuredInstance): Sample[] => {
  const [first, second] = [usage.memoryStat[a], usage.memoryStat[b]];
  return first === undefined || second === undefined ? [] : [[{}, first + second]];
};
const memory = (pick: (usage: InstanceUsage) => number) => ({ usage }: MeasuredInstance): Sample[] => [[{}, pick(usage)]];
const cached = (usage: InstanceUsage): number => usage.memoryStat['cache'] ?? usage.memoryStat['file'] ?? 0;
const free = (usage: InstanceUsage): number => Math.max(0, usage.memoryTotalBytes - usage.memoryUsageBytes);

const counter = (name: string, help: string, samples: Family['samples']): Family => ({ name: `lxd_${name}`, type: 'counter', help, samples });
const gauge = (name: string, help: string, samples: Family['samples']): Family => ({ name: `lxd_${name}`, type: 'gauge', help, samples });

/** LXD's metrics in LXD's order. Help texts are part of what scrapers compare, so they are LXD's, odd ones included. */
const families: readonly Family[] = [
  counter('cpu_seconds_total', 'The total number of CPU time used in seconds.', cpu),
  counter('disk_read_bytes_total', 'The total number of bytes read.', io((c) => c.readBytes)),
  counter('disk_reads_completed_total', 'The total number of completed reads.', io((c) => c.reads)),
  counter('disk_written_bytes_total', 'The total number of bytes written.', io((c) => c.writtenBytes)),
  counter('disk_writes_completed_total', 'The total number of completed writes.', io((c) => c.writes)),
  gauge('filesystem_avail_bytes', 'The number of available space in bytes.', filesystem((fs) => fs.freeBytes)),
  gauge('filesystem_free_bytes', 'The number of free space in bytes.', filesystem((fs) => fs.freeBytes)),
  gauge('filesystem_size_bytes', 'The size of the filesystem in bytes.', filesystem((fs) => fs.sizeBytes)),
  gauge('memory_Active_anon_bytes', 'The amount of anonymous memory on active LRU list.', stat('active_anon')),
  gauge('memory_Active_file_bytes', 'The amount of file-backed memory on active LRU list.', stat('active_file')),
  gauge('memory_Active_bytes', 'The amount of memory on active LRU list.', statSum('active_anon', 'active_file')),
  gauge('memory_Cached_bytes', 'The amount of cached memory.', memory(cached)),
  gauge('memory_Dirty_bytes', 'The amount of memory waiting to get written back to the disk.', stat('dirty', 'file_dirty')),
  gauge('memory_HugepagesFree_bytes', 'The amount of free memory for hugetlb.', () => []),
  gauge('memory_HugepagesTotal_bytes', 'The amount of used memory for hugetlb.', () => []),
  gauge('memory_Inactive_anon_bytes', 'The amount of file-backed memory on inactive LRU list.', stat('inactive_anon')),
  gauge('memory_Inactive_file_bytes', 'The amount of file-backed memory on inactive LRU list.', stat('inactive_file')),
  gauge('memory_Inactive_bytes', 'The amount of memory on inactive LRU list.', statSum('inactive_anon', 'inactive_file')),
  gauge('memory_Mapped_bytes', 'The amount of mapped memory.', stat('mapped_file', 'file_mapped')),
  gauge('memory_MemAvailable_bytes', 'The amount of available memory.', memory((usage) => free(usage) + cached(usage))),
  gauge('memory_MemFree_bytes', 'The amount of free memory.', memory(free)),
  gauge('memory_MemTotal_bytes', 'The amount of used memory.', memory((usage) => usage.memoryTotalBytes)),
  counter('memory_OOM_kills_total', 'The number of out of memory kills.', memory((usage) => usage.oomKills)),
  gauge('memory_RSS_bytes', 'The amount of anonymous and swap cache memory.', stat('rss', 'anon')),
  gauge('memory_Shmem_bytes', 'The amount of cached filesystem data that is swap-backed.', stat('shmem')),
  gauge('memory_Swap_bytes', 'The amount of used swap memory.', memory((usage) => usage.swapUsageBytes)),
  gauge('memory_Unevictable_bytes', 'The amount of unevictable memory.', stat('unevictable')),
  gauge('memory_Writeback_bytes', 'The amount of memory queued for syncing to disk.', stat('writeback', 'file_writeback')),
  counter('network_receive_bytes_total', 'The amount of received bytes on a given interface.', network((c) => c.bytesReceived)),
  counter('network_receive_drop_total', 'The amount of received dropped bytes on a given interface.', network((c) => c.packetsDroppedInbound)),
  counter('network_receive_errs_total', 'The amount of received errors on a given interface.', network((c) => c.errorsReceived)),
  counter('network_receive_packets_total', 'The amount of received packets on a given interface.', network((c) => c.packetsReceived)),
  counter('network_transmit_bytes_total', 'The amount of transmitted bytes on a given interface.', network((c) => c.bytesSent)),
  counter('network_transmit_drop_total', 'The amount of transmitted dropped bytes on a given interface.', network((c) => c.packetsDroppedOutbound)),
  counter('network_transmit_errs_total', 'The amount of transmitted errors on a given interface.', network((c) => c.errorsSent)),
  counter('network_transmit_packets_total', 'The amount of transmitted packets on a given interface.', network((c) => c.packetsSent)),
  gauge('procs_total', 'The number of running processes.', memory((usage) => usage.processes)),
];

/** OpenMetrics text of all that runs. Families nobody has a value for are left out. */
export function metricsText(instances: readonly MeasuredInstance[]): string {
  const lines: string[] = [];
  for (const family of families) {
    const samples: string[] = [];
    for (const instance of instances) {
      for (const [labels, value] of family.samples(instance)) samples.push(`${family.name}${labelText(instance, family, labels)} ${goFloat(value)}`);
    }
    if (samples.length > 0) lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`, ...samples);
  }
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

function labelText(instance: MeasuredInstance, family: Family, labels: Labels): string {
  const all: Record<string, string> = { ...labels, name: instance.name, project: instance.project };
  // LXD forgets the type on these.
  if (!family.name.startsWith('lxd_filesystem_')) all.type = instance.type;
  return `{${Object.keys(all).sort().map((name) => `${name}="${escape(all[name]!)}"`).join(',')}}`;
}

function escape(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

/** A number as Go's `%g` with the fewest digits writes it: an exponent from 1e+06 up and below 1e-04. */
export function goFloat(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return value === 0 ? '0' : '+Inf';
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return plain(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

function plain(value: number): string {
  const text = String(value);
  // JavaScript turns to exponents only below 1e-6.
  return text.includes('e') ? value.toFixed(12).replace(/0+$/, '') : text;
}
