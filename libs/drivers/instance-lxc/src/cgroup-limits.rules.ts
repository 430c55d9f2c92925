import { internal, invalid, isFalse, isTrueOrEmpty, parseByteSize } from '#kernel';

export interface LimitHost {
  readonly memoryBytes: number;
  /** v1 controllers with a hierarchy of their own. */
  readonly v1: { has(controller: string): boolean };
  readonly v2Controllers: { has(controller: string): boolean };
  /** Whether the kernel accounts swap (`memory.memsw.*` on v1, `memory.swap.max` on v2). */
  readonly swapAccounting: boolean;
  /** Whether block I/O can be weighed (`blkio.weight` on v1, `io.weight` on v2): that takes a scheduler that does it. */
  readonly diskWeight: boolean;
}

/** One control file to be written: `lxc.cgroup.FILE` on v1, `lxc.cgroup2.FILE` on v2. */
export interface CgroupSetting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  readonly unified: boolean;
  /** Value that takes the limit away again, for a key that was unset. */
  readonly unset?: boolean;
}

const unlimitedV1 = '-1';
const softShare = 0.9;
const defaultPriority = 10;
const defaultSwappiness = 60;
/** kernel.org: cpu.weight 100 is what 1024 cpu.shares were. */
const sharesDefault = 1024;
const weightDefault = 100;
const defaultDiskWeight = 500;
const quotaPeriodUs = 100_000;

type Config = Readonly<Record<string, string>>;

/**
 * Everything the `limits.*` keys say about control files of a container, complete: a key that is not set yields the kernel's default
 * too, so that unsetting it on a running container takes the limit away. `limits.cpu` is not here, it depends on other containers.
 */
export function cgroupLimits(config: Config, host: LimitHost): CgroupSetting[] {
  return [...memoryLimits(config, host), ...cpuLimits(config, host), ...processLimits(config, host), ...hugepageLimits(config, host), ...diskPriority(config, host)];
}

function memoryLimits(config: Config, host: LimitHost): CgroupSetting[] {
  const bytes = memoryBytes(config['limits.memory'] ?? '', host.memoryBytes);
  const soft = config['limits.memory.enforce'] === 'soft';
  const swapOff = isFalse(config['limits.memory.swap']);
  if (host.v1.has('memory')) return memoryLimitsV1(config, { bytes, soft, swapOff, swapAccounting: host.swapAccounting });
  if (!host.v2Controllers.has('memory')) return [];
  const text = (value: number | null): string => (value === null ? 'max' : `${value}`);
  const hard = soft ? null : bytes;
  const settings = [
    unified('memory', 'memory.max', text(hard), hard === null), unified('memory', 'memory.high', text(soft ? bytes : null), !soft || bytes === null),
    unified('memory', 'memory.low', '0', true),
  ];
  if (host.swapAccounting) settings.push(unified('memory', 'memory.swap.max', swapOff ? '0' : text(hard), !swapOff && hard === null));
  return settings;
}

interface MemoryWish {
  readonly bytes: number | null;
  readonly soft: boolean;
  readonly swapOff: boolean;
  readonly swapAccounting: boolean;
}

function memoryLimitsV1(config: Config, { bytes, soft, swapOff, swapAccounting }: MemoryWish): CgroupSetting[] {
  const settings: CgroupSetting[] = [];
  const hard = soft ? null : bytes;
  const guarantee = bytes === null ? null : soft ? bytes : Math.floor(bytes * softShare);
  settings.push(v1('memory', 'memory.limit_in_bytes', hard === null ? unlimitedV1 : `${hard}`, hard === null));
  if (swapAccounting) {
    const both = hard !== null && isTrueOrEmpty(config['limits.memory.swap']) ? hard : null;
    settings.push(v1('memory', 'memory.memsw.limit_in_bytes', both === null ? unlimitedV1 : `${both}`, both === null));
  }
  settings.push(v1('memory', 'memory.soft_limit_in_bytes', guarantee === null ? unlimitedV1 : `${guarantee}`, guarantee === null));
  const priority = config['limits.memory.swap.priority'] ?? '';
  const swappiness = swapOff ? 0 : priority === '' ? defaultSwappiness : defaultSwappiness + defaultPriority - integer(priority, 'limits.memory.swap.priority');
  settings.push(v1('memory', 'memory.swappiness', `${swappiness}`, !swapOff && priority === ''));
  return settings;
}

/** `512MB`, or `50%` of the host's memory; null for none. */
export function memoryBytes(limit: string, hostBytes: number): number | null {
  if (limit === '') return null;
  const percent = /^(\d+)%$/.exec(limit)?.[1];
  return percent === undefined ? parseByteSize(limit) : Math.floor((hostBytes / 100) * Number(percent));
}

/** Hard: `25ms/100ms`. Soft: `20%`, a share under contention. `limits.cpu.priority` takes 10 minus itself off the share. */
export function cpuAllowance(allowance: string, priority: string, full: number): { share: number; quotaUs: number | null; periodUs: number } {
  let share = full;
  let quotaUs: number | null = null;
  let periodUs = quotaPeriodUs;
  const [, percent] = /^(\d+)%$/.exec(allowance) ?? [];
  const [, quota, period] = /^(\d+)ms\/(\d+)ms$/.exec(allowance) ?? [];
  if (percent !== undefined) share = Math.floor((full * Number(percent)) / 100);
  else if (quota !== undefined) [quotaUs, periodUs] = [Number(quota) * 1000, Number(period) * 1000];
  else if (allowance !== '') throw invalid(`Invalid allowance: ${allowance}`);
  if (priority !== '') share -= defaultPriority - integer(priority, 'limits.cpu.priority');
  return { share: Math.max(share, full === weightDefault ? 1 : 2), quotaUs, periodUs };
}

function cpuLimits(config: Config, host: LimitHost): CgroupSetting[] {
  const allowance = config['limits.cpu.allowance'] ?? '';
  const priority = config['limits.cpu.priority'] ?? '';
  if (host.v1.has('cpu')) {
    const { share, quotaUs, periodUs } = cpuAllowance(allowance, priority, sharesDefault);
    return [
      v1('cpu', 'cpu.shares', `${share}`, share === sharesDefault), v1('cpu', 'cpu.cfs_period_us', `${periodUs}`, quotaUs === null),
      v1('cpu', 'cpu.cfs_quota_us', `${quotaUs ?? -1}`, quotaUs === null),
    ];
  }
  if (!host.v2Controllers.has('cpu')) return [];
  const { share, quotaUs, periodUs } = cpuAllowance(allowance, priority, weightDefault);
  return [
    unified('cpu', 'cpu.weight', `${share}`, share === weightDefault), unified('cpu', 'cpu.max', `${quotaUs ?? 'max'} ${periodUs}`, quotaUs === null),
  ];
}

function processLimits(config: Config, host: LimitHost): CgroupSetting[] {
  const limit = config['limits.processes'] ?? '';
  const value = limit === '' ? 'max' : `${integer(limit, 'limits.processes')}`;
  if (host.v1.has('pids')) return [v1('pids', 'pids.max', value, limit === '')];
  return host.v2Controllers.has('pids') ? [unified('pids', 'pids.max', value, limit === '')] : [];
}

/** Keys are `limits.hugepages.64KB`, `1MB`, `2MB`, `1GB`; control files carry the same size. */
function hugepageLimits(config: Config, host: LimitHost): CgroupSetting[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const size = /^limits\.hugepages\.(64KB|1MB|2MB|1GB)$/.exec(key)?.[1];
    if (size === undefined || value === '') return [];
    const bytes = `${parseByteSize(value)}`;
    if (host.v1.has('hugetlb')) return [v1('hugetlb', `hugetlb.${size}.limit_in_bytes`, bytes, false)];
    return host.v2Controllers.has('hugetlb') ? [unified('hugetlb', `hugetlb.${size}.max`, bytes, false)] : [];
  });
}

/** Ten times as much for each step; 0 is as little as there is. */
function diskPriority(config: Config, host: LimitHost): CgroupSetting[] {
  const priority = config['limits.disk.priority'] ?? '';
  if (!host.diskWeight) {
    if (priority === '') return [];
    throw internal('Initialize LXC: Cannot apply limits.disk.priority as blkio.weight cgroup controller is missing');
  }
  const weight = `${priority === '' ? defaultDiskWeight : Math.max(10, integer(priority, 'limits.disk.priority') * 100)}`;
  if (host.v1.has('blkio')) return [v1('blkio', 'blkio.weight', weight, priority === '')];
  return [unified('io', 'io.weight', priority === '' ? `${weightDefault}` : weight, priority === '')];
}

function integer(text: string, key: string): number {
  if (!/^\d+$/.test(text)) throw invalid(`Invalid value for "${key}": ${text}`);
  return Number(text);
}

function v1(controller: string, file: string, value: string, unset: boolean): CgroupSetting {
  return { controller, file, value, unified: false, unset };
}

function unified(controller: string, file: string, value: string, unset: boolean): CgroupSetting {
  return { controller, file, value, unified: true, unset };
}
