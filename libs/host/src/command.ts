import { spawn as spawnProcess, type ChildProcess, type StdioOptions } from 'node:child_process';
import { internal, SilentLogger, unavailable, type Logger } from '#kernel';
import { CommandFailedError, CommandNotFoundError, CommandTimeoutError } from './command.errors.js';

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
  readonly descriptors?: readonly ChildDescriptor[];
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
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Signals the whole group; false when it is gone. */
  killGroup(signal: NodeJS.Signals): boolean;
}

const defaultTimeoutMs = 30_000;
const defaultMaxOutputBytes = 16 * 1024 * 1024;
const stderrTailBytes = 4096;
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

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
  run(options: RunOptions): Promise<CommandResult> {
    const argv = mask(options.argv, options.secrets ?? []);
    options.signal?.throwIfAborted();
    const stdin = options.stdin;
    const given = stdin !== undefined && typeof stdin === 'object' && 'fd' in stdin ? stdin.fd : undefined;
    const child = this.start(options, argv, [
      given ?? (stdin === undefined ? 'ignore' : 'pipe'), options.stdoutFd ?? 'pipe', 'pipe',
    ]);
    if (stdin !== undefined && given === undefined) {
      // A program that ends without reading all is judged by its exit code, not by our broken pipe.
      child.stdin?.on('error', () => {});
      child.stdin?.end(stdin as string | Uint8Array);
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
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const { promise: exited, resolve } = Promise.withResolvers<ChildExit>();
    child.once(options.captureStderr ? 'close' : 'exit', (exitCode: number | null, signal: NodeJS.Signals | null) => {
      resolve({ exitCode, signal, stderrTail: stderr.text() });
    });
    await started(child, options.argv);
    const pid = child.pid as number;
    if (options.outlivesUs) child.unref();
    return { pid, exited, killGroup: (signal) => killGroup(pid, signal) };
  }

  private start(options: RunOptions | SpawnOptions, argv: readonly string[], stdio: StdioOptions): ChildProcess {
    const [program, ...rest] = options.argv;
    if (program === undefined || program === '') throw internal('A command needs a program to run');
    this.logger.debug('Starting command', { argv });
    const env = 'exactEnv' in options && options.exactEnv !== undefined ? { ...options.exactEnv } : cleanEnvironment(options.env);
    return spawnProcess(program, rest, { stdio, env, cwd: options.cwd, detached: true });
  }

  private collect(child: ChildProcess, options: RunOptions, argv: readonly string[]): Promise<CommandResult> {
    const begun = performance.now();
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const maximum = options.maxOutputBytes ?? defaultMaxOutputBytes;
    const stdout: Buffer[] = [];
    const stderr = new TailBuffer(maximum);
    let stdoutBytes = 0;
    let failure: Error | undefined;
    const stop = (reason: Error): void => {
      failure ??= reason;
      if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    };
    child.stdout?.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length;
      if (stdoutBytes > maximum) stop(internal(`Command "${argv.join(' ')}" wrote more than ${maximum} bytes`));
      else stdout.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const abort = (): void => stop(unavailable(`Command "${argv.join(' ')}" was cancelled`));
    options.signal?.addEventListener('abort', abort, { once: true });
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => stop(new CommandTimeoutError(argv, timeoutMs)), timeoutMs);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
      };
      child.once('error', (error: NodeJS.ErrnoException) => {
        settle();
        reject(spawnError(error, argv));
      });
      child.once('close', (exitCode, signal) => {
        settle();
        this.logger.debug('Command ended', { argv, exitCode, signal, durationMs: Math.round(performance.now() - begun) });
        const errors = maskText(stderr.text(), options.secrets ?? []);
        if (failure !== undefined) reject(failure);
        else if (exitCode === null || !(options.okExitCodes ?? [0]).includes(exitCode)) {
          reject(new CommandFailedError(argv, exitCode, signal, errors.slice(-stderrTailBytes).trim()));
        } else resolve({ exitCode, stdout: Buffer.concat(stdout).toString('utf8'), stderr: errors });
      });
    });
  }
}

function started(child: ChildProcess, argv: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => reject(spawnError(error, argv)));
  });
}

function spawnError(error: NodeJS.ErrnoException, argv: readonly string[]): Error {
  return error.code === 'ENOENT'
    ? new CommandNotFoundError(argv)
    : internal(`Cannot start "${argv.join(' ')}": ${error.message}`, { cause: error });
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
