import type { ArchiveOutput } from '../archive/archive-output.js';
import type { CommandRunner } from '../command.js';

/** Best-effort class at its lowest level: a transfer must not starve the disk of etcd and of running instances (hazards F6). */
const lowPriority = ['ionice', '-c', '2', '-n', '7'];
/** Same tree, same bytes: names in order, no times of reading, no process id in the names of extended headers. */
const reproducible = ['--sort=name', '--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'];
const everything = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls'];
/** tar's word for a file that changed while it was read. */
const changed = 1;

/** Trees as one archive on a pipe, with everything that belongs to files. */
export class TarStream {
  constructor(private readonly command: CommandRunner) {}

  /** Members are named as given, relative to `directory`; links in these names are followed, those below are sent as they are. */
  async send(options: { readonly directory: string; readonly members: readonly string[]; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { directory, members, fd, signal } = options;
    const argv = [...lowPriority, 'tar', ...everything, '--sparse', '--blocking-factor=128', '-C', directory, '-cf', '-', '--', ...members.map((member) => `${member}/.`)];
    await this.command.run({ argv, stdoutFd: fd, timeoutMs: 0, signal, okExitCodes: [0, changed] });
  }

  /**
   * Writes trees, and the end, to an archive that was begun. Links in the names of members are followed when a member ends in `/.`, which its name in the
   * archive does not, and all links with `followLinks`; `prefix` comes in front of all names. `enter` is a command that runs tar elsewhere, with `directory` as its current one.
   */
  async pack(options: {
    readonly directory: string; readonly members: readonly string[]; readonly followLinks?: boolean; readonly prefix?: string; readonly enter?: readonly string[]; readonly output: ArchiveOutput; readonly signal: AbortSignal;
  }): Promise<void> {
    const { directory, members, followLinks = false, prefix = '', enter = [], output, signal } = options;
    const names = prefix === '' ? [] : [`--transform=flags=rh;s,/\\.\\(/\\|$\\),\\1,;s,^,${prefix},`];
    const argv = [...lowPriority, ...enter, 'tar', ...everything, ...reproducible, '--sparse', ...(followLinks ? ['--dereference'] : []), '--blocking-factor=128', ...names, '-cf', '-', '--', ...members];
    await this.command.run({ argv, cwd: directory, stdoutFd: output.fd, timeoutMs: 0, signal, okExitCodes: [0, changed] });
  }

  async receive(options: { readonly into: string; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { into, fd, signal } = options;
    const argv = [...lowPriority, 'tar', ...everything, '--same-owner', '--preserve-permissions', '--blocking-factor=128', '-C', into, '-xf', '-'];
    await this.command.run({ argv, stdin: { fd }, timeoutMs: 0, signal });
  }
}
