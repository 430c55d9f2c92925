import { unavailable, type Logger } from '#kernel';
import { etcdArguments, etcdEnvironment, type EtcdNode } from './etcd-arguments.rules.js';
import { explainExit, type EtcdExit } from './etcd-exit.rules.js';
import type { EtcdLauncher, RunningEtcd } from './etcd-launcher.js';

export interface EtcdKeeperEvents {
  /** It does not run, and why; said once per reason until it runs again. */
  readonly onWarning: (message: string) => void;
  /** It runs well again after a warning. */
  readonly onRecovered: () => void;
  /** Its data cannot be used: to be moved aside, and this voter added anew as a learner (hazards A6). It is not started again. */
  readonly onDamaged: (message: string) => void;
  /** The others took it out of the cluster. It is not started again. */
  readonly onRemoved: () => void;
}

export interface EtcdKeeperOptions {
  readonly launcher: EtcdLauncher;
  readonly logger: Logger;
  readonly node: EtcdNode;
  readonly logFile: string;
  readonly events: EtcdKeeperEvents;
  /** Pauses before a new start, the last for all further ones. */
  readonly backoffMs?: readonly number[];
  /** A run this long counts as a success. */
  readonly settledMs?: number;
}

const defaultBackoffMs = [100, 500, 1000, 2000, 5000, 10_000, 30_000];
const defaultSettledMs = 30_000;
/** What etcd does when it is asked to end is wait for its clients, of which there are always some. It loses nothing by being killed. */
const stopTimeoutMs = 0;
const panicsUntilDamaged = 2;

/** Keeps one etcd running: starts it, again with growing pauses when it ends, and tells apart what a new start cannot mend. */
export class EtcdKeeper {
  private running: RunningEtcd | undefined;
  private stopped = false;
  private failures = 0;
  private panics = 0;
  private warned = '';
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: EtcdKeeperOptions) {}

  get node(): EtcdNode {
    return this.options.node;
  }

  get pid(): number | undefined {
    return this.running?.pid;
  }

  /** Resolves once a process runs, which is before it answers. */
  async start(): Promise<void> {
    if (this.stopped) throw unavailable('etcd was stopped');
    const { launcher, node, logFile, logger } = this.options;
    const version = await launcher.version();
    const started = await launcher.start({ arguments: etcdArguments(node, version), environment: etcdEnvironment, dataDirectory: node.dataDirectory, logFile });
    this.running = started;
    logger.info(started.adopted ? 'Found etcd running' : 'Started etcd', { pid: started.pid, version });
    this.timer = setTimeout(() => this.settled(), this.options.settledMs ?? defaultSettledMs).unref();
    void started.exited.then((exit) => this.ended(started, exit));
    if (this.stopped) await this.stop();
  }

  /** Ends it for good; the data stays. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running?.terminate(stopTimeoutMs);
    this.running = undefined;
  }

  private settled(): void {
    this.failures = 0;
    this.panics = 0;
    if (this.warned === '') return;
    this.warned = '';
    this.options.events.onRecovered();
  }

  private ended(run: RunningEtcd, exit: EtcdExit): void {
    if (this.stopped || this.running !== run) return;
    this.running = undefined;
    clearTimeout(this.timer);
    const { reason, message } = explainExit(exit);
    this.panics = reason === 'panic' ? this.panics + 1 : 0;
    this.options.logger.warn('etcd ended', { reason, message });
    if (reason === 'removed' || this.panics >= panicsUntilDamaged) {
      this.stopped = true;
      if (reason === 'removed') this.options.events.onRemoved();
      else this.options.events.onDamaged(message);
      return;
    }
    this.again(message);
  }

  private again(message: string): void {
    const { backoffMs = defaultBackoffMs, events, logger } = this.options;
    if (this.warned !== message && this.failures > 0) {
      this.warned = message;
      events.onWarning(`etcd does not keep running: ${message}`);
    }
    const pause = backoffMs[Math.min(this.failures++, backoffMs.length - 1)]!;
    this.timer = setTimeout(() => {
      this.start().catch((error: unknown) => {
        logger.error('Failed starting etcd', { error: String(error) });
        if (!this.stopped) this.again(error instanceof Error ? error.message : String(error));
      });
    }, pause);
  }
}
