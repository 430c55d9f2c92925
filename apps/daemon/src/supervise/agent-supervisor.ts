import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { Deadline, unavailable, wrap, type Logger, type StateDirectory } from '#kernel';
import type { AgentChannel } from '#platform/rpc';

/** What an agent says of itself (`HelloReply` of proto/agent/v1/host.proto). */
interface Hello {
  readonly pid: number;
  readonly protocol: number;
  readonly build: string;
  readonly mountNamespace: number;
  readonly networkNamespace: number;
}

export interface AgentSupervisorOptions {
  readonly state: StateDirectory;
  readonly channel: AgentChannel;
  readonly logger: Logger;
  /** Program and arguments that start an agent for this state directory. */
  readonly argv: readonly string[];
  readonly logFile: string;
  /** Identity of the built code; an agent of another build is replaced. Empty accepts any. */
  readonly build: string;
  /** False where the agent is a service of its own (systemd) or this process may not start one. */
  readonly mayStart: boolean;
}

const protocol = 2;
const backoffMs = [0, 50, 100, 200, 500, 1000, 2000];
const startTimeoutMs = 20_000;
/** How long an agent may take to end that was asked to. */
const endMs = 5_000;
const pollMs = 20;

/**
 * Keeps one usable agent for the state directory: finds the one that runs, replaces one of another build or from another mount or network
 * namespace (hazards B3), starts one where there is none, and starts it again when it dies. The agent is detached: it survives this
 * process being killed, and the next daemon finds it. The instances it started survive both.
 */
export class AgentSupervisor {
  private stopped = false;
  private failures = 0;
  /** The agent this process has started last, while it lives. */
  private child: ChildProcess | undefined;

  constructor(private readonly options: AgentSupervisorOptions) {}

  /** Starts a process now, without waiting, if nobody answers on the socket; so that it loads while the daemon does. */
  async prestart(): Promise<void> {
    if (!this.options.mayStart || this.child !== undefined || (await this.listens())) return;
    // Asked to stop meanwhile: nobody would end it.
    if (!this.stopped) this.spawnAgent();
  }

  /** Resolves when a usable agent answers, and from then on watches it. */
  async start(): Promise<void> {
    await this.ensure();
    this.watch();
  }

  /** Stops watching; ends the agent too where it is this daemon's to start. Instances and networks stay. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (!this.options.mayStart) return;
    await this.replace().catch((error: unknown) => this.options.logger.warn('Failed stopping the agent', { error: String(error) }));
    await this.endChild();
  }

  /** One that does not listen yet, or waits for the one that was ended just now. */
  private async endChild(): Promise<void> {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      // Cleared when it has ended.
      this.child?.kill(signal);
      for (const deadline = new Deadline(endMs); this.child !== undefined && !deadline.passed;) await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  private async ensure(): Promise<void> {
    const deadline = new Deadline(startTimeoutMs);
    while (!this.stopped) {
      const hello = await this.hello();
      if (hello && this.usable(hello)) return;
      if (hello && this.options.mayStart) await this.replace();
      else await this.prestart();
      if (deadline.passed) throw unavailable(`No agent answers on ${this.options.state.agentSocket}; see ${this.options.logFile}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  private async hello(): Promise<Hello | null> {
    if (!(await this.listens())) return null;
    return this.options.channel.call<Hello>('Host', 'hello', {}, { timeoutMs: 2_000 }).catch(() => null);
  }

  private usable(hello: Hello): boolean {
    const { logger, build, mayStart } = this.options;
    // Where the agent is a service of its own, its restart is its owner's affair; only the protocol has to fit.
    const otherBuild = mayStart && build !== '' && hello.build !== build;
    if (hello.protocol !== protocol || otherBuild) {
      logger.info('Replacing an agent of another build', { pid: hello.pid });
      return false;
    }
    // A service manager may give either a mount namespace of its own.
    const otherNamespaces = hello.mountNamespace !== namespaceInode('mnt') || hello.networkNamespace !== namespaceInode('net');
    if (mayStart && otherNamespaces) {
      logger.warn('Replacing an agent that lives in other namespaces', { pid: hello.pid });
      return false;
    }
    return true;
  }

  private async replace(): Promise<void> {
    const pid = (await this.hello())?.pid ?? 0;
    if (pid !== 0 || (await this.listens())) await this.options.channel.call('Host', 'shutdown', {}, { timeoutMs: 2_000 }).catch(() => undefined);
    for (const deadline = new Deadline(endMs); !deadline.passed && (isRunning(pid) || (await this.listens()));) await new Promise((resolve) => setTimeout(resolve, pollMs));
  }

  /** A connection that carries nothing: it ends the moment the agent does, whoever started it. */
  private watch(): void {
    const socket = connect(this.options.state.agentSocket);
    socket.unref();
    socket.on('error', () => undefined);
    socket.on('close', () => void this.restart());
    // The server greets; unread, the greeting would hide the end that follows it.
    socket.resume();
  }

  private async restart(): Promise<void> {
    if (this.stopped) return;
    const delay = backoffMs[Math.min(this.failures++, backoffMs.length - 1)]!;
    await new Promise((resolve) => setTimeout(resolve, delay));
    if (this.stopped) return;
    try {
      await this.ensure();
      this.options.logger.info('The agent is back');
      setTimeout(() => { this.failures = 0; }, 10_000).unref();
      this.watch();
    } catch (error) {
      this.options.logger.error('No agent', { error: String(error) });
      void this.restart();
    }
  }

  private listens(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.options.state.agentSocket);
      socket.on('connect', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => resolve(false));
    });
  }

  private spawnAgent(): void {
    const { argv, logFile, logger } = this.options;
    const log = openSync(logFile, 'a', 0o600);
    try {
      const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', log, log] });
      child.on('error', (error) => logger.error('Failed starting the agent', { error: String(error) }));
      child.on('exit', () => { if (this.child === child) this.child = undefined; });
      child.unref();
      this.child = child;
    } catch (error) {
      throw wrap(error, 'Failed starting the agent');
    } finally {
      closeSync(log);
    }
  }
}

/** False for a process that has ended and waits to be collected. */
function isRunning(pid: number): boolean {
  try {
    return pid > 0 && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

export function namespaceInode(kind: 'mnt' | 'net'): number {
  return statSync(`/proc/self/ns/${kind}`).ino;
}
