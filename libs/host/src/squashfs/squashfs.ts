import { open, rm } from 'node:fs/promises';
import { invalid, randomHex } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

const lowPriority = ['ionice', '-c', '2', '-n', '7'];
const unpackTimeoutMs = 3_600_000;
const catTimeoutMs = 60_000;
/** What is on standard input: a file system is read here and there, so that it must be a file. */
const standardInput = '/proc/self/fd/0';
/** As LXD makes them, and the same of the same files. Without `-mem` a quarter of the host's memory would be taken. */
const packing = ['-comp', 'xz', '-mkfs-time', '0', '-root-time', '0', '-root-mode', '0755', '-mem', '256M', '-exit-on-error', '-quiet', '-no-progress', '-force'];
const unpacking = ['-force', '-no-progress', '-quiet'];

/** squashfs-tools. Members cannot lead outside: names are single path components and links are never followed. */
export class Squashfs {
  constructor(private readonly command: CommandRunner) {}

  /** Unpacks into a directory, which may exist. Owners, modes, extended attributes and device nodes as archived. */
  async unpack(options: { file: string; into: string; signal?: AbortSignal }): Promise<void> {
    const argv = [...lowPriority, 'unsquashfs', ...unpacking, '-dest', options.into, options.file];
    await this.command.run({ argv, timeoutMs: 0, signal: options.signal ?? AbortSignal.timeout(unpackTimeoutMs) }).catch(refused('Failed to unpack the squashfs image'));
  }

  /** One member as text; undefined if it is not there. */
  async readMember(options: { file: string; name: string }): Promise<string | undefined> {
    return unlessFailed(this.command.run({ argv: ['unsquashfs', '-cat', options.file, options.name], timeoutMs: catTimeoutMs }));
  }

  /** Unpacks the named members, and all below them, from an open file; directories on the way may exist. */
  async unpackMembers(options: { fd: number; members: readonly string[]; into: string; signal: AbortSignal }): Promise<void> {
    const { fd, members, into, signal } = options;
    const argv = [...lowPriority, 'unsquashfs', ...unpacking, '-no-wildcards', '-dest', into, standardInput, ...members];
    await this.command.run({ argv, stdin: { fd }, timeoutMs: 0, signal }).catch(refused('Failed to unpack the archive'));
  }

  /** Writes the content of one regular member of an open file to a descriptor. */
  async copyMember(options: { fd: number; member: string; to: number; signal: AbortSignal }): Promise<void> {
    const { fd, member, to, signal } = options;
    const argv = [...lowPriority, 'unsquashfs', '-no-wildcards', '-cat', standardInput, member];
    await this.command.run({ argv, stdin: { fd }, stdoutFd: to, timeoutMs: 0, signal }).catch(refused('Failed to unpack the archive'));
  }

  /** One small member of an open file as text; undefined where there is none. More than `maxBytes` is refused. */
  async readMemberOf(options: { fd: number; member: string; maxBytes: number }): Promise<string | undefined> {
    const { fd, member, maxBytes } = options;
    return unlessFailed(this.command.run({ argv: ['unsquashfs', '-no-wildcards', '-cat', standardInput, member], stdin: { fd }, maxOutputBytes: maxBytes, timeoutMs: catTimeoutMs }));
  }

  /** Turns an archive of tar's, as it comes, into a file system, which goes to `output`. It is a file first, without a name, in `directory`. */
  async pack(options: { input: number; output: number; directory: string; signal: AbortSignal }): Promise<void> {
    const { input, output, directory, signal } = options;
    const path = `${directory}/squashfs-${randomHex(8)}`;
    const file = await open(path, 'wx+', 0o600);
    try {
      await rm(path);
      await this.command.run({ argv: [...lowPriority, 'sqfstar', ...packing, `/proc/${process.pid}/fd/${file.fd}`], stdin: { fd: input }, timeoutMs: 0, signal });
      await this.command.run({ argv: ['cat'], stdin: { fd: file.fd }, stdoutFd: output, timeoutMs: 0, signal });
    } finally {
      await file.close();
    }
  }
}

function refused(words: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof CommandFailedError)) throw error;
    throw invalid(`${words}: ${error.stderrTail.split('\n')[0] ?? ''}`, { cause: error });
  };
}

async function unlessFailed(reading: Promise<{ readonly stdout: string }>): Promise<string | undefined> {
  try {
    return (await reading).stdout;
  } catch (error) {
    if (error instanceof CommandFailedError) return undefined;
    throw error;
  }
}
