import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, internal, messageOf } from '#kernel';
import type { CommandRunner } from '../command.js';
import { CommandFailedError } from '../command.errors.js';
import { parseMountTable, type MountEntry } from './mount-table.js';

const unmountAttempts = 20;
const unmountPauseMs = 100;

/** Mounting in the namespace this process lives in. */
export class Mounts {
  constructor(private readonly command: CommandRunner) {}

  /** What is mounted at exactly this path now. */
  async at(path: string): Promise<MountEntry | undefined> {
    return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).findLast((entry) => entry.mountPoint === path);
  }

  async mount(options: { source: string; target: string; fsType: string; options: string }): Promise<void> {
    const argv = ['mount', '-t', options.fsType, ...(options.options === '' ? [] : ['-o', options.options]), options.source, options.target];
    await this.command.run({ argv }).catch((error: unknown) => {
      const said = error instanceof CommandFailedError ? error.stderrTail : messageOf(error);
      // mount(8) lists all it can think of for EINVAL.
      const reason = said.includes('wrong fs type, bad option') ? 'invalid argument' : said;
      throw internal(`Failed to mount "${options.source}" on "${options.target}" using "${options.fsType}": ${reason}`, { cause: error });
    });
  }

  async bind(source: string, target: string): Promise<void> {
    await this.command.run({ argv: ['mount', '--bind', source, target] });
  }

  async remount(target: string, options: string): Promise<void> {
    await this.command.run({ argv: ['mount', '-o', `remount,${options}`, target] });
  }

  /** Unmounts everything stacked at the path; `conflict` when something still uses it after two seconds. Not mounted is success. */
  async unmount(path: string): Promise<void> {
    for (let attempt = 1; (await this.at(path)) !== undefined; attempt++) {
      try {
        await this.command.run({ argv: ['umount', path] });
      } catch (error) {
        if (!(error instanceof CommandFailedError) || !error.stderrTail.includes('busy')) throw error;
        if (attempt >= unmountAttempts) throw conflict(`Failed to unmount "${path}": device or resource busy`, { cause: error });
        await sleep(unmountPauseMs);
      }
    }
  }
}
