import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path/posix';
import { CommandFailedError, makeNode, parseMountTable, type CommandRunner, type Mounts } from '#host';
import { internal, messageOf, randomHex } from '#kernel';
import { deviceNumber } from './devices/device-nodes.js';

type Config = Readonly<Record<string, string>>;

const propagations = ['', 'private', 'shared', 'slave', 'unbindable', 'rprivate', 'rshared', 'rslave', 'runbindable'];
/** What blkid answers for a device without anything it knows. */
const nothingKnown = 2;

/** Sources that are no path of this host. @throws in LXD's words for a container. */
export function refuseSource(config: Config): void {
  const source = config['source'] ?? '';
  if (config['pool']) return;
  if (source.startsWith('cloud-init:')) throw internal(`disks with source=${source} are only supported by virtual machines`);
  if (source.startsWith('ceph:')) {
    const [pool = '', volume = ''] = source.slice('ceph:'.length).split('/');
    const command = `rbd --id ${config['ceph.user_name'] || 'admin'} --cluster ${config['ceph.cluster_name'] || 'ceph'} --pool ${pool} map ${volume}`;
    throw internal(`Failed mapping Ceph RBD volume: Failed to run: ${command}: exec: "rbd": executable file not found in $PATH`);
  }
  if (source.startsWith('cephfs:')) {
    const file = `/etc/ceph/${config['ceph.cluster_name'] || 'ceph'}.conf`;
    throw internal(`Failed to open "${file}": open ${file}: no such file or directory`);
  }
}

/** Whether a source is one of those that `refuseSource` knows: nothing of it is to be looked for on this host. */
export function isForeignSource({ source, pool }: Config): boolean {
  return !pool && /^(cloud-init|ceph|cephfs):/.test(source ?? '');
}

export function checkPropagation(config: Config): void {
  const mode = config['propagation'] ?? '';
  if (!propagations.includes(mode)) throw internal(`Invalid propagation mode "${mode}"`);
}

interface BlockMountOptions {
  readonly readonly: boolean;
  readonly raw: string;
}

/** Block devices of the host as disks of a container: their file system is mounted, here, and bound inside. */
export class BlockSources {
  /** `directory` is root's own. */
  constructor(private readonly commands: CommandRunner, private readonly mounts: Mounts, private readonly directory: string) {}

  /** The device that a descriptor is of, whatever has its name by now: programs are told names. */
  async mount(fd: number, target: string, options: BlockMountOptions): Promise<void> {
    const device = readlinkSync(`/proc/self/fd/${fd}`);
    if (isFixed(device)) return this.mountNode(device, device, target, options);
    const node = `${this.directory}/block-${randomHex(8)}`;
    const { major, minor } = deviceNumber(`/proc/self/fd/${fd}`).rdev;
    makeNode(node, 'b', major, minor);
    try {
      await this.mountNode(node, device, target, options);
    } finally {
      rmSync(node, { force: true });
    }
  }

  /** Errors name the device as the user knows it. */
  private async mountNode(node: string, device: string, target: string, options: BlockMountOptions): Promise<void> {
    const fsType = await this.fileSystemOf(node, device);
    try {
      await this.mounts.mount({ source: node, target, fsType, options: [...(options.readonly ? ['ro'] : []), ...(options.raw === '' ? [] : [options.raw])].join(',') });
    } catch (error) {
      const reason = messageOf(error).split(`using "${fsType}": `).at(-1) ?? '';
      throw internal(`Unable to mount "${device}" at "${target}" with filesystem "${fsType}": ${reason}`, { cause: error });
    }
  }

  private async fileSystemOf(node: string, device: string): Promise<string> {
    const argv = ['blkid', '-s', 'TYPE', '-o', 'value'];
    const failed = (reason: string): Error => internal(`Failed detecting source path "${device}" block device filesystem: Failed to run: ${[...argv, device].join(' ')}: ${reason}`);
    try {
      const { stdout, exitCode } = await this.commands.run({ argv: [...argv, node], okExitCodes: [0, nothingKnown] });
      if (exitCode === 0 && stdout.trim() !== '') return stdout.trim();
      throw failed(`exit status ${exitCode === 0 ? nothingKnown : exitCode}`);
    } catch (error) {
      throw error instanceof CommandFailedError ? failed(`exit status ${error.exitCode}`) : error;
    }
  }
}

/** Whether nobody but root can put anything else at a path, in which there are no links. */
function isFixed(path: string): boolean {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    const { uid, mode } = lstatSync(directory);
    if (uid !== 0 || (mode & 0o022) !== 0) return false;
    if (directory === '/') return true;
  }
}

/** `MAJOR:MINOR` of the whole disk that a path lies on, or is. @throws in LXD's words where there is none. */
export function diskUnder(path: string): string {
  const status = statSync(path);
  if (status.isBlockDevice()) return wholeDisk(deviceNumber(path).rdev);
  const real = realpathSync(path);
  const mounts = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
  const within = (point: string): boolean => point === '/' || real === point || real.startsWith(`${point}/`);
  // Later mounts hide earlier ones.
  const mount = mounts.filter(({ mountPoint }) => within(mountPoint)).reduce((best, next) => (next.mountPoint.length >= best.mountPoint.length ? next : best));
  if (!mount.source.startsWith('/') || !existsSync(mount.source) || !statSync(mount.source).isBlockDevice()) throw internal(`Invalid block device "${mount.source}"`);
  return wholeDisk(deviceNumber(mount.source).rdev);
}

/** Limits are kept for disks, not for partitions. */
function wholeDisk({ major, minor }: { major: number; minor: number }): string {
  const partition = `/sys/dev/block/${major}:${minor}`;
  return existsSync(`${partition}/partition`) ? readFileSync(`${realpathSync(partition)}/../dev`, 'latin1').trim() : `${major}:${minor}`;
}
