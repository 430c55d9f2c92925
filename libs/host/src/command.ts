import { existsSync } from 'node:fs';
import type net from 'node:net';
import { finished } from 'node:stream/promises';
import { internal, messageOf, SilentLogger, unavailable, type Logger } from '#kernel';
import { startChild, type ChildStatus, type StartedChild } from './child-process/child-process.js';
import { CommandFailedError, CommandNotFoundError, CommandTimeoutError } from './command.errors.js';
import { errnoName } from './ioctl/ioctl.js';

/** Where one of the child's descriptors goes: a descriptor of ours (a file, FIFO, socket, pty), or nowhere. */
export type ChildDescriptor = number | 'ignore';

export interface RunOptions {
  /** Program and arguments; there is no shell anywhere. */
  readonly argv: readonly string[];
  /** Bytes for standard input, or an open descriptor; nothing by default. */
  readonly stdin?: string | Uint8Array | { readonly fd: number };
  /** Standard output goes to this descriptor instead of the result. */
  readonly stdoutFd?: number;
  /** Added to the clean environment (PATH, LC_ALL=C). */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 30 s; 0 for no limit (give a `signal` then). */
  readonly timeoutMs?: number;
  /** Default `[0]`. */
  readonly okExitCodes?: readonly number[];
  /** Output beyond this is an error and ends the program; default 16 MiB. */
  readonly maxOutputBytes?: number;
  /** Aborting kills the whole process group. */
  readonly signal?: AbortSignal;
  /** Texts that must not reach the log or an error. */
  readonly secrets?: readonly string[];
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces the clean environment altogether, for programs whose environment is the point. */
  readonly exactEnv?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Descriptors 0, 1, 2, 3... of the child; missing ones of the first three are `/dev/null`. */
  readonly descriptors?: readonly (ChildDescriptor | 'pipe')[];
  /** Keep a copy of standard error's last 4 KiB (instead of descriptor 2). */
  readonly captureStderr?: boolean;
  /** Of its own session and not waited for at our exit: it is meant to outlive us. */
  readonly outlivesUs?: boolean;
}

export interface ChildExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;
}

/** A long-lived child. It leads a process group of its own. */
export interface RunningChild {
  readonly pid: number;
  /** Our ends of the descriptors that are pipes, by the child's number. */
  readonly pipes: ReadonlyMap<number, net.Socket>;
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Signals the whole group; false when it is gone. */
  killGroup(signal: NodeJS.Signals): boolean;
}

const defaultTimeoutMs = 30_000;
const defaultMaxOutputBytes = 16 * 1024 * 1024;
const stderrTailBytes = 4096;
/** Of every child, unless told otherwise. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Whether a program would be found. */
export function isInstalled(program: string, exists: (path: string) => boolean = existsSync): boolean {
  return searchPath.split(':').some((directory) => exists(`${directory}/${program}`));
}

/** What every child sees: no locale, no leftovers of whoever started us. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: searchPath, LC_ALL: 'C', HOME: '/root', ...extra };
}

/**
 * The one door to other programs. Argument arrays only, clean environment, bounded time and output, and the whole process
 * group dies with a time-out or an abort.
 */
export class CommandRunner {
  constructor(private readonly logger: Logger = new SilentLogger()) {}

  /**
   * Runs a program to its end. Throws `CommandNotFoundError`, `CommandTimeoutError`, `CommandFailedError`; an abort is
   * `unavailable`.
   */
  async run(options: RunOptions): Promise<CommandResult> {
    const argv = mask(options.argv, options.secrets ?? []);
    options.signal?.throwIfAborted();
    const stdin = options.stdin;
    const given = stdin !== undefined && typeof stdin === 'object' && 'fd' in stdin ? stdin.fd : undefined;
    const child = this.start(options, argv, [
      given ?? (stdin === undefined ? 'ignore' : 'pipe'), options.stdoutFd ?? 'pipe', 'pipe',
    ]);
    if (stdin !== undefined && given === undefined) {
      // A program that ends without reading all is judged by its exit code, not by our broken pipe.
      const pipe = child.pipes.get(0);
      pipe?.on('error', () => {});
      pipe?.end(stdin as string | Uint8Array);
    }
    return this.collect(child, options, argv);
  }

  /** Runs a program and answers only whether it could and did succeed. */
  async succeeds(options: RunOptions): Promise<boolean> {
    try {
      await this.run(options);
      return true;
    } catch (error) {
      if (error instanceof CommandFailedError || error instanceof CommandNotFoundError) return false;
      throw error;
    }
  }

  /** Starts a program that lives on, with the descriptors given. Our copies of them stay open: close them yourself. */
  async spawn(options: SpawnOptions): Promise<RunningChild> {
    const descriptors: (ChildDescriptor | 'pipe')[] = [...(options.descriptors ?? [])];
    while (descriptors.length < 3) descriptors.push('ignore');
    if (options.captureStderr) descriptors[2] = 'pipe';
    const child = this.start(options, options.argv, descriptors);
    const stderr = new TailBuffer(stderrTailBytes);
    child.pipes.get(2)?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const exited = ended(child).then((status) => ({ ...status, stderrTail: stderr.text() }));
    return { pid: child.pid, pipes: child.pipes, exited, killGroup: (signal) => killGroup(child.pid, signal) };
  }

  private start(options: RunOptions | SpawnOptions, argv: readonly string[], stdio: readonly (ChildDescriptor | 'pipe')[]): StartedChild {
    const [program, ...rest] = options.argv;
    if (program === undefined || program === '') throw internal('A command needs a program to run');
    this.logger.debug('Starting command', { argv });
    const env = 'exactEnv' in options && options.exactEnv !== undefined ? options.exactEnv : cleanEnvironment(options.env);
    try {
      return startChild({ argv: [program, ...rest], env, cwd: options.cwd, stdio, unref: 'outlivesUs' in options && options.outlivesUs === true });
    } catch (error) {
      throw errnoName(error) === 'ENOENT' ? new CommandNotFoundError(argv) : internal(`Cannot start "${argv.join(' ')}": ${messageOf(error)}`, { cause: error });
    }
  }

  private async collect(child: StartedChild, options: RunOptions, argv: readonly string[]): Promise<CommandResult> {
    const begun = performance.now();
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const maximum = options.maxOutputBytes ?? defaultMaxOutputBytes;
    const stdout: Buffer[] = [];
    const stderr = new TailBuffer(maximum);
    let stdoutBytes = 0;
    let failure: Error | undefined;
    const stop = (reason: Error): void => {
      failure ??= reason;
      killGroup(child.pid, 'SIGKILL');
    };
    child.pipes.get(1)?.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes > maximum) stop(internal(`Command "${argv.join(' ')}" wrote more than ${maximum} bytes`));
      else stdout.push(chunk);
    });
    child.pipes.get(2)?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const abort = (): void => stop(unavailable(`Command "${argv.join(' ')}" was cancelled`));
    options.signal?.addEventListener('abort', abort, { once: true });
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => stop(new CommandTimeoutError(argv, timeoutMs)), timeoutMs);
    const { exitCode, signal } = await ended(child);
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
    this.logger.debug('Command ended', { argv, exitCode, signal, durationMs: Math.round(performance.now() - begun) });
    const errors = maskText(stderr.text(), options.secrets ?? []);
    if (failure !== undefined) throw failure;
    if (exitCode === null || !(options.okExitCodes ?? [0]).includes(exitCode)) {
      throw new CommandFailedError(argv, exitCode, signal, errors.slice(-stderrTailBytes).trim());
    }
    return { exitCode, stdout: Buffer.concat(stdout).toString('utf8'), stderr: errors };
  }
}

/** The program has ended, and all it wrote is here. */
async function ended(child: StartedChild): Promise<ChildStatus> {
  const outputs = [...child.pipes].filter(([fd]) => fd !== 0).map(([, pipe]) => finished(pipe, { writable: false }).catch(() => {}));
  const [status] = await Promise.all([child.exited, ...outputs]);
  child.pipes.get(0)?.destroy();
  return status;
}

function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false; // The group is gone already.
  }
}

function maskText(text: string, secrets: readonly string[]): string {
  return secrets.reduce((masked, secret) => (secret === '' ? masked : masked.replaceAll(secret, '***')), text);
}

function mask(argv: readonly string[], secrets: readonly string[]): readonly string[] {
  return secrets.length === 0 ? argv : argv.map((word) => maskText(word, secrets));
}

/** Keeps the last bytes of a stream. */
class TailBuffer {
  private chunks: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly limit: number) {}

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.bytes <= this.limit * 2) return;
    const tail = Buffer.concat(this.chunks).subarray(-this.limit);
    this.chunks = [tail];
    this.bytes = tail.length;
  }

  text(): string {
    return Buffer.concat(this.chunks).subarray(-this.limit).toString('utf8').trim();
  }
}
