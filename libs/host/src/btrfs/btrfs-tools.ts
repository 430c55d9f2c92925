import type { CommandRunner } from '../command.js';

/** The programs of btrfs-progs, for what happens once in a pool's life. */
export class BtrfsTools {
  constructor(private readonly command: CommandRunner) {}

  /** Makes a file system on a block device or file; refuses one that already carries a file system, unless `overwrite`. */
  async format(path: string, label: string, options: { overwrite?: boolean } = {}): Promise<void> {
    await this.command.run({ argv: ['mkfs.btrfs', '-q', ...(options.overwrite ? ['-f'] : []), '-L', label, path], timeoutMs: 300_000 });
  }

  /** Version of btrfs-progs, `6.2`; undefined when not installed. */
  async version(): Promise<string | undefined> {
    const result = await this.command.run({ argv: ['btrfs', '--version'] }).catch(() => undefined);
    return /v(\S+)/.exec(result?.stdout ?? '')?.[1];
  }

  /** UUID of the file system on a device; empty if it has none. */
  async uuid(device: string): Promise<string> {
    return (await this.command.run({ argv: ['blkid', '-p', '-s', 'UUID', '-o', 'value', device], okExitCodes: [0, 2] })).stdout.trim();
  }

  /** UUID of a subvolume, which a stream of it names. */
  async subvolumeUuid(path: string): Promise<string> {
    const { stdout } = await this.command.run({ argv: ['btrfs', 'subvolume', 'show', path] });
    return /^\s*UUID:\s*(\S+)/m.exec(stdout)?.[1] ?? '';
  }

  /** Uses all of a device that has grown. */
  async growToDevice(mountPath: string): Promise<void> {
    await this.command.run({ argv: ['btrfs', 'filesystem', 'resize', 'max', mountPath], timeoutMs: 300_000 });
  }
}
