import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { InstanceDriver, type InstanceEvent, type InstanceStatus, type PowerState } from '#ports';

const retryMs = 500;
const resyncMs = 30_000;
/** How long a call waits for an agent that was restarted under it. */
const agentPatienceMs = 15_000;
const agentPollMs = 100;

/** What runs on this member by name on the host; absent means stopped. */
type Known = Pick<InstanceStatus, 'power' | 'pid'>;

const stopped: Known = { power: 'Stopped', pid: 0 };

/**
 * Which instances run, in memory, so that lists ask nobody. Kept true by the host's events, by what this daemon does itself, and by a
 * full look at the host whenever the stream of events (re)starts and now and then. Owns no decision: whether an instance may be started
 * is the driver's word.
 */
@Injectable()
export class PowerStates implements OnModuleDestroy {
  private readonly known = new Map<string, Known>();
  /** The last init that is known to be gone, by name. */
  private readonly ended = new Map<string, number>();
  private readonly listeners: ((event: InstanceEvent) => void)[] = [];
  private readonly resyncListeners: (() => void)[] = [];
  private readonly changeListeners: ((projectName: string) => void)[] = [];
  private readonly abort = new AbortController();
  private changes = 0;
  private synced: Promise<void> | undefined;
  private watching = false;

  constructor(
    private readonly driver: InstanceDriver,
    private readonly logger: Logger,
  ) {}

  get(projectName: string): Known {
    return this.known.get(projectName) ?? stopped;
  }

  isRunning(projectName: string): boolean {
    return this.get(projectName).power !== 'Stopped';
  }

  /** What this daemon just did on the host. */
  set(projectName: string, power: PowerState, pid = this.get(projectName).pid): void {
    this.changes++;
    // An init may be gone before the answer to its start arrives.
    const gone = power !== 'Stopped' && this.ended.get(projectName) === pid;
    const before = this.get(projectName).power;
    if (power === 'Stopped' || gone) this.known.delete(projectName);
    else this.known.set(projectName, { power, pid });
    if (this.get(projectName).power !== before) this.changed(projectName);
  }

  /** Resolves once the host was asked at least once; later calls cost nothing. */
  ready(): Promise<void> {
    this.synced ??= this.resync().catch((error: unknown) => {
      this.synced = undefined;
      throw error;
    });
    return this.synced;
  }

  onEvent(listener: (event: InstanceEvent) => void): void {
    this.listeners.push(listener);
  }

  /** Called after each full look at the host: events may have been missed before it. */
  onResync(listener: () => void): void {
    this.resyncListeners.push(listener);
  }

  /** Called with the name of each instance whose power state is another now. */
  onChange(listener: (projectName: string) => void): void {
    this.changeListeners.push(listener);
  }

  /** Begins to follow the host's events until the module is destroyed. */
  watch(): void {
    if (this.watching) return;
    this.watching = true;
    void this.follow();
    setInterval(() => void this.resync().catch(() => {}), resyncMs).unref();
  }

  onModuleDestroy(): void {
    this.abort.abort();
  }

  /**
   * What has become of an instance after a call whose end nobody knows, because the agent died in it. Waits for the agent to come
   * back; rejects when it does not.
   */
  async askAgain(projectName: string): Promise<Known> {
    const deadline = performance.now() + agentPatienceMs;
    for (;;) {
      try {
        const [status] = await this.driver.describeStatus([projectName]);
        const { power, pid } = status ?? stopped;
        this.set(projectName, power, pid);
        return { power, pid };
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, agentPollMs).unref());
      }
    }
  }

  /** Asks the host about everything. What changes meanwhile wins over the answer. */
  async resync(): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const changesBefore = this.changes;
      const statuses = await this.driver.describeStatus([]);
      if (this.changes !== changesBefore) continue;
      const before = new Map(this.known);
      this.known.clear();
      for (const { projectName, power, pid } of statuses) if (power !== 'Stopped') this.known.set(projectName, { power, pid });
      for (const name of new Set([...before.keys(), ...this.known.keys()])) if (before.get(name)?.power !== this.known.get(name)?.power) this.changed(name);
      break;
    }
    for (const listener of this.resyncListeners) listener();
  }

  private changed(projectName: string): void {
    for (const listener of this.changeListeners) listener(projectName);
  }

  private async follow(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      try {
        const events = this.driver.watchInstances(signal);
        void this.resync().catch(() => {});
        for await (const event of events) this.take(event);
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn('Lost sight of the host, looking again', { error: messageOf(error) });
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
    }
  }

  private take(event: InstanceEvent): void {
    if (event.event !== 'started' && event.pid !== 0) this.ended.set(event.projectName, event.pid);
    if (event.event === 'started') this.set(event.projectName, 'Running', event.pid);
    // An old init's end says nothing about the one started since.
    else if (event.pid === 0 || this.get(event.projectName).pid === event.pid) this.set(event.projectName, 'Stopped', 0);
    for (const listener of this.listeners) listener(event);
  }
}
