import { internal, parseByteSize } from '#kernel';
import type { CgroupSetting, LimitHost } from './cgroup-limits.rules.js';

type Config = Readonly<Record<string, string>>;

/** Of one disk of the host; 0 for no limit. */
export interface DiskRates {
  readonly readBytes: number;
  readonly readOperations: number;
  readonly writeBytes: number;
  readonly writeOperations: number;
}

const names = ['readBytes', 'readOperations', 'writeBytes', 'writeOperations'] as const;
const filesV1 = ['read_bps_device', 'read_iops_device', 'write_bps_device', 'write_iops_device'] as const;
const wordsV2 = ['rbps', 'riops', 'wbps', 'wiops'] as const;

/** `limits.read`, `limits.write` and, for both, `limits.max` of a disk device: `10MB` a second, or `30iops`. */
export function diskRates(config: Config): DiskRates {
  const both = config['limits.max'] ?? '';
  const [read, write] = [rate(both || (config['limits.read'] ?? '')), rate(both || (config['limits.write'] ?? ''))];
  return { readBytes: read.bytes, readOperations: read.operations, writeBytes: write.bytes, writeOperations: write.operations };
}

function rate(text: string): { bytes: number; operations: number } {
  if (text === '') return { bytes: 0, operations: 0 };
  if (!text.endsWith('iops')) return { bytes: parseByteSize(text), operations: 0 };
  const number = text.slice(0, -'iops'.length);
  if (!/^\d+$/.test(number)) throw internal(`strconv.ParseInt: parsing "${number}": invalid syntax`);
  return { bytes: 0, operations: Number(number) };
}

/** Disk devices that lie on one disk share the mean of what each sets, as in LXD. `disks` is `MAJOR:MINOR` with the rates of one device. */
export function diskSettings(disks: readonly (readonly [string, DiskRates])[], host: Pick<LimitHost, 'v1' | 'v2Controllers'>): CgroupSetting[] {
  const byDisk = Map.groupBy(disks, ([disk]) => disk);
  return [...byDisk].flatMap(([disk, shared]) => {
    const means = names.map((name) => {
      const set = shared.map(([, rates]) => rates[name]).filter((value) => value > 0);
      return set.length === 0 ? 0 : Math.floor(set.reduce((sum, value) => sum + value, 0) / set.length);
    });
    if (host.v1.has('blkio')) {
      return means.flatMap((value, index): CgroupSetting[] => (value === 0 ? [] : [{ controller: 'blkio', file: `blkio.throttle.${filesV1[index]}`, value: `${disk} ${value}`, unified: false }]));
    }
    if (!host.v2Controllers.has('io') || means.every((value) => value === 0)) return [];
    return [{ controller: 'io', file: 'io.max', value: `${disk} ${means.map((value, index) => `${wordsV2[index]}=${value === 0 ? 'max' : value}`).join(' ')}`, unified: true }];
  });
}

/** What brings control files from one list to another: limits that are gone are taken away first. */
export function settingsChange(before: readonly CgroupSetting[], after: readonly CgroupSetting[]): CgroupSetting[] {
  const key = ({ file, value }: CgroupSetting): string => `${file} ${value.split(' ')[0]}`;
  const kept = new Set(after.map(key));
  const old = new Set(before.map((setting) => `${setting.file} ${setting.value}`));
  const gone = before.filter((setting) => !kept.has(key(setting))).map((setting) => {
    const disk = setting.value.split(' ')[0];
    return { ...setting, value: setting.unified ? `${disk} ${wordsV2.map((word) => `${word}=max`).join(' ')}` : `${disk} 0` };
  });
  return [...gone, ...after.filter((setting) => !old.has(`${setting.file} ${setting.value}`))];
}
