import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, readlinkSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path/posix';
import { detachMount, errnoName, mountCall, MS_BIND, MS_PRIVATE, MS_REC, openBeneath, openPath } from '#host';
import { invalid, isFalse, isTrue, type StateDirectory } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { deviceStartError, escapeDevicePart } from './devices/device-handler.js';
import { checkPropagation, isForeignSource, refuseSource, type BlockSources } from './disk-sources.js';
import { checkDiskSource, judgesDiskSources, type HostPolicy } from './host-policy.js';
import type { LxcPaths } from './lxc-paths.js';

/** Not among node's constants; the same on all architectures we run on. */
const O_PATH = 0o10000000;

/** A disk device that is there. */
export interface DiskPlan {
  readonly device: string;
  /** What is bound, as configured. */
  readonly source: string;
  /** Where it is bound on the host, for LXC or a hot-plug to take it from. */
  readonly mountedAt: string;
  /** Absolute path inside. */
  readonly target: string;
  readonly isDirectory: boolean;
  readonly readonly: boolean;
  readonly recursive: boolean;
  /** `rslave`, `shared`, ...; empty for private. */
  readonly propagation: string;
  /** Shown with the container's own ids. */
  readonly shifted: boolean;
}

/** Disk devices other than the root. */
export function additionalDisks(spec: InstanceSpec): DeviceSpec[] {
  return spec.devices.filter(({ config }) => config['type'] === 'disk' && config['path'] !== '/' && (config['path'] !== undefined || isForeignSource(config)));
}

/** A descriptor of a disk's source. One that must lie below a directory is looked up from there, so that no link leads out, now or later. */
function openSource(source: string, parent: string, judged: boolean): number {
  // By the links of /proc that stand for what processes have open, a place has another name than it is judged by.
  if (parent === '') return judged ? openPath(source) : openSync(source, O_PATH);
  const directory = openPath(parent);
  try {
    return openBeneath(directory, relative(parent, source) || '.');
  } catch (error) {
    if (!['EXDEV', 'ELOOP'].includes(errnoName(error))) throw error;
    throw invalid(`Source path "${source}" resolves outside of restricted parent source path "${parent}"`, { cause: error });
  } finally {
    closeSync(directory);
  }
}

/** Files of a custom volume have the container's own ids on disk. */
function isMapped(spec: InstanceSpec, device: string): boolean {
  return spec.idmap.length > 0 && spec.volumes.some((volume) => volume.device === device && volume.mapped);
}

function isOptional(config: Readonly<Record<string, string>>): boolean {
  return isFalse(config['required']) || isTrue(config['optional']);
}

/** `devices/NAME/disk.DEVICE.PATH`, with `-` doubled and `/` as `-`, as in LXD. */
export function diskMountPoint(directory: string, device: string, target: string): string {
  return `${directory}/disk.${escapeDevicePart(device)}.${escapeDevicePart(target.replace(/^\/+/, ''))}`;
}

/**
 * The host's side of disk devices: each source is bound below `devices/NAME` first. The source is opened once, judged by where the
 * descriptor leads, and bound from the descriptor, so that a link swapped in between changes nothing (hazards E4).
 */
export class DiskMounts {
  constructor(private readonly paths: LxcPaths, private readonly state: StateDirectory, private readonly policy: HostPolicy, private readonly blocks: BlockSources) {}

  /** Refuses a disk that a change adds when its source is not there, as LXD does before anything is changed. */
  checkAdded(before: InstanceSpec, after: InstanceSpec): void {
    const known = new Map(before.devices.map(({ name, config }) => [name, config['source'] ?? '']));
    for (const { name, config } of additionalDisks(after)) {
      if (known.get(name) !== config['source']) this.requireSource(after, { name, config }, 'add');
    }
  }

  /** All disks of the instance. What was bound before a failure stays; `detachAll` takes it away. */
  async attachAll(spec: InstanceSpec): Promise<DiskPlan[]> {
    const plans: DiskPlan[] = [];
    for (const device of additionalDisks(spec)) {
      this.requireSource(spec, device, 'start');
      const plan = await this.attach(spec, device).catch((error: unknown) => { throw deviceStartError(device.name, error); });
      if (plan !== null) plans.push(plan);
    }
    return plans;
  }

  /** Null for a disk whose source is not there. */
  async attach(spec: InstanceSpec, { name, config, restrictedParent = '' }: DeviceSpec): Promise<DiskPlan | null> {
    refuseSource(config);
    checkPropagation(config);
    const target = config['path'] ?? '';
    const source = this.sourceOf(spec, { name, config });
    const recursive = isTrue(config['recursive']);
    if (!existsSync(source)) return null;
    const mountedAt = diskMountPoint(this.paths.devices(spec.projectName), name, target);
    const fd = openSource(source, restrictedParent, judgesDiskSources(this.policy));
    try {
      const from = `/proc/self/fd/${fd}`;
      const ownDirectories = { refused: this.state.root, allowed: this.state.storagePools };
      checkDiskSource(readlinkSync(from), this.policy, ownDirectories);
      const status = fstatSync(fd);
      const isDirectory = status.isDirectory() || status.isBlockDevice();
      this.makeMountPoint(mountedAt, isDirectory);
      if (status.isBlockDevice()) await this.blocks.mount(fd, mountedAt, { readonly: isTrue(config['readonly']), raw: config['raw.mount.options'] ?? '' });
      else mountCall(from, mountedAt, '', MS_BIND | (recursive ? MS_REC : 0));
      const propagation = config['propagation'] ?? '';
      if (propagation === '') mountCall('', mountedAt, '', MS_PRIVATE | (recursive ? MS_REC : 0));
      return { device: name, source, mountedAt, target, isDirectory, readonly: isTrue(config['readonly']), recursive, propagation, shifted: isTrue(config['shift']) || isMapped(spec, name) };
    } finally {
      closeSync(fd);
    }
  }

  detach(projectName: string, device: string, target: string): void {
    this.remove(diskMountPoint(this.paths.devices(projectName), device, target));
  }

  /** Everything that is bound for an instance, known to its configuration or not. */
  detachAll(projectName: string): void {
    const directory = this.paths.devices(projectName);
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) if (name.startsWith('disk.')) this.remove(`${directory}/${name}`);
  }

  private requireSource(spec: InstanceSpec, { name, config }: DeviceSpec, when: 'add' | 'start'): void {
    const source = this.sourceOf(spec, { name, config });
    if (isForeignSource(config) || isOptional(config) || existsSync(source)) return;
    throw invalid(`Failed ${when} validation for device "${name}": Missing source path "${source}" for disk "${name}"`);
  }

  /** Where the files of a disk device are on this host, the root included. */
  sourceOf(spec: InstanceSpec, { name, config }: DeviceSpec): string {
    const source = config['source'] ?? '';
    if (config['path'] === '/') return this.state.volume(spec.rootVolume.pool.name, spec.rootVolume.kind, spec.rootVolume.name);
    if (!config['pool']) return source;
    const volume = spec.volumes.find(({ device }) => device === name)?.volume;
    if (volume === undefined) throw invalid(`Failed to start device "${name}": Failed loading custom volume: Storage volume not found`);
    return this.state.volume(volume.pool.name, volume.kind, volume.name);
  }

  private makeMountPoint(path: string, isDirectory: boolean): void {
    // A mount left by a process that died may still be there; the source may have changed since.
    this.remove(path);
    if (isDirectory) mkdirSync(path, { mode: 0o700 });
    else writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
  }

  private remove(path: string): void {
    if (!existsSync(path)) return;
    detachMount(path);
    try {
      rmdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
      unlinkSync(path);
    }
  }
}
