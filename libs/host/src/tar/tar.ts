import { invalid } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

export type TarCompression = 'tar' | 'tar.gz' | 'tar.bz2' | 'tar.xz' | 'tar.lzma' | 'tar.zst';

const filters: Readonly<Record<TarCompression, readonly string[]>> = {
  tar: [],
  'tar.gz': ['--gzip'],
  'tar.bz2': ['--bzip2'],
  'tar.xz': ['--xz'],
  'tar.lzma': ['--lzma'],
  'tar.zst': ['--zstd'],
};

/**
 * Best-effort class at its lowest level: unpacking must not starve the disk of etcd and of running instances (hazards F6). The
 * wrapper execs, so it is one process.
 */
const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** GNU tar. Without `-P` it drops leading slashes, refuses members with `..`, and makes links that lead outside only at the end. */
export class Tar {
  constructor(private readonly command: CommandRunner) {}

  /** Unpacks into an existing directory: numeric owners, modes, extended attributes and device nodes as archived. */
  async unpack(options: { file: string; compression: TarCompression; into: string; exclude?: readonly string[]; signal?: AbortSignal }): Promise<void> {
    const { file, compression, into, exclude = [], signal } = options;
    const argv = [
      ...lowPriority, 'tar', '--restrict', '--force-local', '--numeric-owner', '--same-owner', '--preserve-permissions',
      '--xattrs', '--xattrs-include=*', '--anchored', ...exclude.map((pattern) => `--exclude=${pattern}`),
      '-C', into, ...filters[compression], '-xf', file,
    ];
    await this.command.run({ argv, timeoutMs: 0, signal: signal ?? AbortSignal.timeout(unpackTimeoutMs) }).catch(refusedArchive);
  }

  /**
   * One small member as text, without unpacking; reading stops there. Undefined if the archive has none.
   */
  async readMember(options: { file: string; compression: TarCompression; name: string }): Promise<string | undefined> {
    const { file, compression, name } = options;
    const common = ['tar', '--restrict', '--force-local', '--occurrence=1', ...filters[compression], '-xOvf', file];
    // A pattern that matches at any depth lets tar stop at the first hit, which is the right one in every image made by the usual tools.
    const first = await this.tryRead([...common, '--no-anchored', name]);
    if (first === undefined) return undefined;
    const member = first.stderr.split('\n').find((line) => line.endsWith(name));
    if (member === name || member === `./${name}`) return first.stdout;
    const second = (await this.tryRead([...common, `./${name}`])) ?? (await this.tryRead([...common, name]));
    return second?.stdout;
  }

  /** Unpacks the named members, and all below them, from an open archive that is read from its beginning; `strip` leading parts of names go. */
  async unpackMembers(options: { fd: number; compression: TarCompression; members: readonly string[]; strip: number; into: string; signal: AbortSignal }): Promise<void> {
    const { fd, compression, members, strip, into, signal } = options;
    const argv = [
      ...lowPriority, 'tar', '--restrict', '--numeric-owner', '--same-owner', '--preserve-permissions', '--xattrs', '--xattrs-include=*', '--acls', '--no-wildcards', '--anchored',
      `--strip-components=${strip}`, '-C', into, ...filters[compression], '-xf', '-', '--', ...members,
    ];
    await this.command.run({ argv, stdin: { fd }, timeoutMs: 0, signal }).catch(refusedArchive);
  }

  /** Writes the content of one regular member of an open archive to a descriptor. */
  async copyMember(options: { fd: number; compression: TarCompression; member: string; to: number; signal: AbortSignal }): Promise<void> {
    const { fd, compression, member, to, signal } = options;
    const argv = [...lowPriority, 'tar', '--restrict', '--no-wildcards', '--anchored', '--occurrence=1', ...filters[compression], '-xOf', '-', '--', member];
    await this.command.run({ argv, stdin: { fd }, stdoutFd: to, timeoutMs: 0, signal }).catch(refusedArchive);
  }

  /** One small member of an open archive as text; undefined where there is none. More than `maxBytes` is refused. */
  async readMemberOf(options: { fd: number; compression: TarCompression; member: string; maxBytes: number }): Promise<string | undefined> {
    const { fd, compression, member, maxBytes } = options;
    const argv = [...lowPriority, 'tar', '--restrict', '--no-wildcards', '--anchored', '--occurrence=1', ...filters[compression], '-xOf', '-', '--', member];
    try {
      return (await this.command.run({ argv, stdin: { fd }, maxOutputBytes: maxBytes, timeoutMs: readTimeoutMs })).stdout;
    } catch (error) {
      if (error instanceof CommandFailedError) return undefined;
      throw error;
    }
  }

  private async tryRead(argv: readonly string[]): Promise<{ stdout: string; stderr: string } | undefined> {
    try {
      return await this.command.run({ argv, maxOutputBytes: memberBytesMax, timeoutMs: readTimeoutMs });
    } catch (error) {
      if (error instanceof CommandFailedError) return undefined;
      throw error;
    }
  }
}

const unpackTimeoutMs = 3_600_000;
const readTimeoutMs = 300_000;
const memberBytesMax = 1024 * 1024;

function refusedArchive(error: unknown): never {
  if (error instanceof CommandFailedError && error.exitCode === 2) {
    throw invalid(`Failed to unpack the archive: ${error.stderrTail.split('\n')[0] ?? ''}`, { cause: error });
  }
  throw error;
}
