import { internal, unavailable } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner, SpawnOptions } from '../command.js';
import { findRoostHelper } from '../roost-helper/roost-helper.js';

/** What both ends of a stream have agreed on. */
export interface RsyncOptions {
  readonly xattrs: boolean;
  readonly delete: boolean;
  readonly compress: boolean;
  /** Bytes per second as rsync reads them (`10M`); empty for as many as there are. */
  readonly bandwidth: string;
  /** Files that vanish under the sender do no harm. */
  readonly inconsistent: boolean;
  /** Hard links and access lists go along, and files are alike only where their contents are: sizes and times do not tell. */
  readonly exact?: boolean;
}

export interface RsyncEnds {
  /** From the other side, and to it: pipes. */
  readonly input: number;
  readonly output: number;
  readonly signal: AbortSignal;
}

/** rsync's word for files that were gone when it came to them. */
const vanished = 24;
/** Its words for another end that does not talk any more: that one knows why. */
const otherEndGone: readonly (number | null)[] = [10, 12];
/** A transfer must not starve the disk of etcd and of running instances (hazards F6). */
const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/**
 * rsync with another host's, over pipes, as LXD runs it: the sender is the client. Unless the stream is exact hard links arrive as
 * files of their own. Both run confined to their tree, whatever the other side says.
 */
export class RsyncStream {
  constructor(private readonly command: CommandRunner, private readonly helper: string = findRoostHelper()) {}

  async send(path: string, options: RsyncOptions, ends: RsyncEnds): Promise<void> {
    const argv = [
      ...lowPriority, this.helper, 'confined', 'ro', path, 'rsync', '-ar', '--devices', '--numeric-ids', '--partial', '--sparse', ...featureArguments(options),
      ...(options.bandwidth === '' ? [] : ['--bwlimit', options.bandwidth]), '/volume/', 'other:/volume', '-e', '/helper relay 3 4',
    ];
    await this.run({ argv, descriptors: ['ignore', 'ignore', 'ignore', ends.input, ends.output] }, ends.signal, options.inconsistent ? [0, vanished] : [0]);
  }

  async receive(path: string, options: RsyncOptions, ends: RsyncEnds): Promise<void> {
    const argv = [
      ...lowPriority, this.helper, 'confined', 'rw', path, 'rsync', '--server', '-vlogDtpre.iLsfx', '--numeric-ids', '--devices', '--sparse', ...featureArguments(options), '.', '/volume/',
    ];
    await this.run({ argv, descriptors: [ends.input, ends.output, 'ignore'] }, ends.signal, [0]);
  }

  private async run(options: SpawnOptions, signal: AbortSignal, okExitCodes: readonly number[]): Promise<void> {
    signal.throwIfAborted();
    const child = await this.command.spawn({ ...options, captureStderr: true });
    const stop = (): void => void child.killGroup('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    try {
      const { exitCode, signal: killedBy, stderrTail } = await child.exited;
      if (signal.aborted) throw unavailable('The transfer was given up');
      if (exitCode === null || !okExitCodes.includes(exitCode)) {
        throw (otherEndGone.includes(exitCode) ? unavailable : internal)(reasonIn(stderrTail), { cause: new CommandFailedError(options.argv, exitCode, killedBy, stderrTail) });
      }
    } finally {
      signal.removeEventListener('abort', stop);
      // What it may have left of its own.
      stop();
    }
  }
}

/** Of what rsync says the first complaint is the reason; what follows is what came of it. */
function reasonIn(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line !== '');
  return lines.find((line) => line.startsWith('rsync: ')) ?? `rsync: ${lines.at(-1) ?? 'failed'}`;
}

function featureArguments({ xattrs, delete: deletes, compress, exact }: RsyncOptions): string[] {
  return [...(exact ? ['--hard-links', '--acls', '--checksum'] : []), ...(xattrs ? ['--xattrs', '--filter=-x security.selinux'] : []), ...(deletes ? ['--delete'] : []), ...(compress ? ['--compress', '--compress-level=2'] : [])];
}
