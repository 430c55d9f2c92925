import { existsSync } from 'node:fs';
import { parseCpuList, readCgroupFile, writeCgroupFile, type CgroupDirectories, type CgroupLayout } from '#host';
import { internal, messageOf, type Logger } from '#kernel';
import { cgroupLimits, type CgroupSetting, type LimitHost } from './cgroup-limits.rules.js';
import { settingsChange } from './disk-limits.rules.js';
import { pinCpus, type PinnedInstance } from './cpu-pinning.rules.js';
import { memoryTotalBytes } from './host-memory.js';

export interface PinnedContainer extends PinnedInstance {
  readonly cgroups: CgroupDirectories;
}

/** Limits as control files: what a new container gets, and changes to running ones. */
export class ContainerLimits {
  private readonly host: LimitHost;
  readonly cpusetUnified: boolean;

  constructor(private readonly layout: CgroupLayout, private readonly logger: Logger) {
    const memory = layout.v1.get('memory');
    const blkio = layout.v1.get('blkio');
    this.host = {
      memoryBytes: memoryTotalBytes(), v1: layout.v1, v2Controllers: layout.v2Controllers,
      // The root cgroup of v2 has no such file; where the controller is there, swap is accounted unless the kernel was told not to.
      swapAccounting: memory === undefined ? layout.v2Controllers.has('memory') : existsSync(`${memory}/memory.memsw.limit_in_bytes`),
      diskWeight: blkio === undefined ? layout.v2Controllers.has('io') && existsSync(`${layout.v2}/io.cost.qos`) : existsSync(`${blkio}/blkio.weight`),
    };
    this.cpusetUnified = !layout.v1.has('cpuset');
  }

  /** Throws `invalid` for a value the kernel could not be told. */
  settings(config: Readonly<Record<string, string>>): CgroupSetting[] {
    return cgroupLimits(config, this.host);
  }

  /** CPUs for each instance that is limited. */
  pins(instances: readonly PinnedInstance[]): Map<string, number[]> {
    return pinCpus(this.onlineCpus(), instances);
  }

  /** Brings the pinning of running containers up to date; one that ends meanwhile is not an error. */
  repin(containers: readonly PinnedContainer[]): void {
    const online = this.onlineCpus();
    const pins = pinCpus(online, containers);
    for (const { projectName, cgroups } of containers) {
      const directory = cgroups[this.cpusetUnified ? '' : 'cpuset'];
      if (directory === undefined) continue;
      const wanted = pins.get(projectName) ?? online;
      const file = `${directory}/cpuset.cpus`;
      const text = readCgroupFile(file);
      if (text === null || (parseCpuList(text) ?? online).join() === wanted.join()) continue;
      try {
        writeCgroupFile(file, wanted.join(','));
      } catch (error) {
        this.logger.warn('Failed pinning an instance to CPUs', { instance: projectName, cpus: wanted, error: messageOf(error) });
      }
    }
  }

  /**
   * Writes what differs between two configurations. Both limits on memory are written in the order in which the kernel accepts them.
   * When the kernel refuses one, those written before are taken back and the error is thrown.
   */
  change(cgroups: CgroupDirectories, before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): void {
    const old = new Map(this.settings(before).map((setting) => [setting.file, setting]));
    const wanted = this.settings(after);
    const changes = wanted.filter((setting) => old.get(setting.file)?.value !== setting.value);
    // A hugepage limit that was unset is not in the list any more.
    const gone = [...old.values()].filter(({ file }) => !wanted.some((setting) => setting.file === file)).map((setting) => ({ ...setting, value: setting.unified ? 'max' : '-1' }));
    const written: CgroupSetting[] = [];
    for (const setting of inAcceptedOrder([...changes, ...gone], cgroups)) {
      try {
        this.write(cgroups, setting);
        written.push(setting);
      } catch (error) {
        for (const { file } of written.reverse()) this.restore(cgroups, old.get(file));
        throw internal(`Failed to set ${setting.file}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  /** The same for limits of disks, of which a control file holds several. */
  changeDisks(cgroups: CgroupDirectories, before: readonly CgroupSetting[], after: readonly CgroupSetting[]): void {
    for (const setting of settingsChange(before, after)) {
      try {
        this.write(cgroups, setting);
      } catch (error) {
        throw internal(`Failed to set ${setting.file}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  private restore(cgroups: CgroupDirectories, setting: CgroupSetting | undefined): void {
    if (setting === undefined) return;
    try {
      this.write(cgroups, setting);
    } catch (error) {
      this.logger.warn('Failed taking back a changed limit', { file: setting.file, error: messageOf(error) });
    }
  }

  private write(cgroups: CgroupDirectories, { controller, file, value, unified }: CgroupSetting): void {
    const directory = cgroups[unified ? '' : controller];
    if (directory !== undefined) writeCgroupFile(`${directory}/${file}`, value);
  }

  private onlineCpus(): number[] {
    const root = this.cpusetUnified ? `${this.layout.v2}/cpuset.cpus.effective` : `${this.layout.v1.get('cpuset')}/cpuset.cpus`;
    return parseCpuList(readCgroupFile(root) ?? readCgroupFile('/sys/devices/system/cpu/online') ?? '0') ?? [0];
  }
}

const memoryPair = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'];

/** On v1 the limit with swap can never be below the one without: it goes first when limits rise, last when they fall. */
function inAcceptedOrder(settings: readonly CgroupSetting[], cgroups: CgroupDirectories): CgroupSetting[] {
  const pair = settings.filter(({ file }) => memoryPair.includes(file));
  const others = settings.filter(({ file }) => !memoryPair.includes(file));
  const amount = (value: string): number => (value === '-1' ? Infinity : Number(value));
  const now = amount(readCgroupFile(`${cgroups['memory']}/memory.limit_in_bytes`) ?? '-1');
  const rising = pair.some(({ file, value }) => file === 'memory.limit_in_bytes' && amount(value) > now);
  pair.sort((a, b) => memoryPair.indexOf(a.file) - memoryPair.indexOf(b.file));
  return [...(rising ? pair.reverse() : pair), ...others];
}
