import 'reflect-metadata';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Deadline, StateDirectory, internalContext, messageOf, unavailable } from '#kernel';
import { AgentChannel, buildIdentity, installationRoot } from '#platform/rpc';
import { AgentSupervisor } from './supervise/agent-supervisor.js';
import { PinoLogger } from './pino.logger.js';
import { StateLock } from './state-lock.js';
import { useCompileCache } from './compile-cache.js';

export interface DaemonOptions {
  /** State directory. */
  readonly root: string;
  /** Group that may use the unix socket; empty for root's alone. */
  readonly group: string;
  /** Empty: standard error. */
  readonly logFile: string;
  readonly level: string;
}

const preparedTimeoutMs = 30_000;

type Running = Awaited<ReturnType<typeof import('./api.js').startApi>>;

/**
 * The API process. Start: lock, agent (loading beside us), database and API, then what was running before. End: by SIGTERM or SIGINT instances
 * and networks stay as they are; by `shutdown` or SIGPWR instances are stopped cleanly first.
 */
export class Daemon {
  private readonly state: StateDirectory;
  private readonly logger: PinoLogger;
  private readonly channel: AgentChannel;
  private readonly supervisor: AgentSupervisor;
  private running: Running | undefined;
  private ending: Promise<void> | undefined;

  private constructor(private readonly options: DaemonOptions) {
    this.state = new StateDirectory(options.root);
    this.logger = new PinoLogger(options.level, options.logFile);
    this.channel = new AgentChannel(this.state.agentSocket);
    this.supervisor = new AgentSupervisor({
      state: this.state, channel: this.channel, logger: this.logger, argv: agentArgv(options), build: buildIdentity(),
      logFile: join(this.state.root, 'agent.log'), mayStart: process.getuid?.() === 0 && process.env['ROOST_AGENT'] !== 'external',
    });
  }

  /** Resolves when the daemon has ended for good. Throws when it cannot start. */
  static async runUntilStopped(options: DaemonOptions): Promise<void> {
    if (process.getuid?.() === 0) mkdirSync(options.root, { recursive: true, mode: 0o711 });
    const daemon = new Daemon(options);
    await daemon.untilPrepared();
    const lock = StateLock.acquire(daemon.state);
    try {
      const stopped = daemon.untilSignal();
      await daemon.start();
      await stopped;
    } finally {
      await daemon.end();
      lock.release();
    }
  }

  /** Without root the state directory is the agent's to make; both services start at once. */
  private async untilPrepared(): Promise<void> {
    const deadline = new Deadline(preparedTimeoutMs);
    while (!isWritable(this.state.database)) {
      if (process.getuid?.() === 0 && !existsSync(this.state.database)) return;
      if (deadline.passed) {
        throw unavailable(`${this.state.database} is not there or not this user's to write: is the agent running, with --daemon-user?`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  private async start(): Promise<void> {
    const agent = this.supervisor.prestart().then(() => this.supervisor.start());
    // The API's modules load while the agent does; an agent that cannot start is reported below, not as an unhandled rejection.
    agent.catch(() => undefined);
    useCompileCache(`${this.state.database}/compile-cache`, buildIdentity());
    const { startApi } = await import('./api.js');
    await agent;
    this.running = await startApi({
      state: this.state, logger: this.logger, channel: this.channel, group: this.options.group,
      socketPath: daemonSocket(this.state), requestShutdown: (force) => this.shutdown(force),
    });
    this.logger.onMessage = this.running.publishLog;
    await this.running.startUp();
    this.logger.info('Daemon started', { pid: process.pid });
  }

  /** Stops instances cleanly, then ends the process. Resolves when instances are down, so that the caller can be answered. */
  private async shutdown(force: boolean): Promise<void> {
    await this.running?.shutDownInstances(internalContext(), force);
    setImmediate(() => this.signal?.());
  }

  private signal: (() => void) | undefined;

  private untilSignal(): Promise<void> {
    return new Promise((resolve) => {
      this.signal = resolve;
      for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.once(name, () => resolve());
      process.once('SIGPWR', () => void this.shutdown(false).catch((error: unknown) => {
        this.logger.error('Failed stopping instances', { error: messageOf(error) });
        resolve();
      }));
    });
  }

  private end(): Promise<void> {
    this.ending ??= (async () => {
      // What ends may wait on timers that keep no process alive; without this one the process would be gone before they fire.
      const awake = setInterval(() => undefined, 1000);
      await this.running?.close();
      await this.supervisor.stop();
      this.channel.close();
      clearInterval(awake);
    })();
    return this.ending;
  }
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where the socket is really made: a daemon without root cannot make it in the state directory, the agent links it there. */
function daemonSocket(state: StateDirectory): string {
  return process.getuid?.() === 0 ? state.socket : `${state.daemonRun}/unix.socket`;
}

function agentArgv(options: DaemonOptions): string[] {
  const bundled = join(installationRoot(), 'dist/bundle/agent.js');
  const program = existsSync(bundled) ? bundled : join(installationRoot(), 'dist/apps/agent/src/main.js');
  return [process.execPath, '--disable-warning=ExperimentalWarning', '--max-semi-space-size=2', program, '--state-dir', options.root, '--supervised', '--build', buildIdentity()];
}
