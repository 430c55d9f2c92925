import { readFileSync } from 'node:fs';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Clock, Logger, messageOf, StateDirectory } from '#kernel';
import { InstanceDriver } from '#ports';
import { PoolsService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceSpecs } from './instance-specs.js';
import { hostName } from './instance-urls.js';
import { PowerStates } from './power-states.js';
import { fileSystemType, metricsText, type MeasuredInstance } from './rules/metrics.rules.js';

/** At least between two looks at the host of the background. */
const periodMs = 8000;
/** Whoever lets more time pass than this between two scrapes has no rhythm to follow. */
const longestMs = 120_000;
/** Before the next scrape is due, so that it finds what was just measured. */
const leadMs = 2000;
/** Looks that nobody has asked for before they end: after the first scrape the second is awaited for a minute, later one may be left out. */
const looksUntilSecond = 8;
const looksUnasked = 2;

/**
 * `GET /1.0/metrics`: one call to the agent for everything that runs here. The first scrape measures; from then on that is done in the background for
 * as long as somebody scrapes, shortly before the next scrape is due, so that a scrape takes the same short time however much runs and the host is not
 * looked at more often than anybody asks.
 */
@Injectable()
export class InstanceMetrics implements OnModuleDestroy {
  private measured: readonly MeasuredInstance[] | undefined;
  private measuring: Promise<readonly MeasuredInstance[]> | undefined;
  private measuredAtMs = -Infinity;
  private askedAtMs = -Infinity;
  private pauseMs = periodMs;
  private looksLeft = 0;
  private timer: NodeJS.Timeout | undefined;
  /** What was measured as text, encoded, by project: several scrapers ask for the same. */
  private readonly texts = new Map<string | null, Buffer>();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly pools: PoolsService,
    private readonly state: StateDirectory,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleDestroy(): void {
    clearTimeout(this.timer);
  }

  /** Of one project, or of all with null. */
  async text(project: string | null): Promise<Buffer> {
    const nowMs = this.clock.monotonicMs();
    this.follow(nowMs);
    // A sample that should have been replaced by now is one nobody may be shown.
    const all = this.measured !== undefined && nowMs - this.measuredAtMs <= 2 * periodMs ? this.measured : await this.sample();
    const text = this.texts.get(project) ?? Buffer.from(metricsText(project === null ? all : all.filter((instance) => instance.project === project)));
    if (all === this.measured) this.texts.set(project, text);
    return text;
  }

  /** The next look in the background follows the time between the last two scrapes. */
  private follow(nowMs: number): void {
    const intervalMs = nowMs - this.askedAtMs;
    this.askedAtMs = nowMs;
    const known = intervalMs <= longestMs;
    this.pauseMs = known ? Math.max(periodMs, intervalMs - leadMs) : periodMs;
    this.looksLeft = known ? looksUnasked : looksUntilSecond;
    // Scrapes in quick succession do not put it off.
    this.lookAfter(intervalMs < periodMs && this.timer !== undefined ? Math.max(0, this.measuredAtMs + periodMs - nowMs) : this.pauseMs);
  }

  private lookAfter(delayMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.looksLeft -= 1;
      this.sample().catch((error: unknown) => this.logger.warn('Failed measuring the instances', { error: messageOf(error) }));
      if (this.looksLeft > 0) this.lookAfter(this.pauseMs);
    }, delayMs).unref();
  }

  private sample(): Promise<readonly MeasuredInstance[]> {
    this.measuring ??= this.measure().then((measured) => {
      this.measured = measured;
      this.measuredAtMs = this.clock.monotonicMs();
      this.texts.clear();
      return measured;
    }).finally(() => { this.measuring = undefined; });
    return this.measuring;
  }

  private async measure(): Promise<readonly MeasuredInstance[]> {
    await this.states.ready();
    const running = this.catalog.local().filter((instance) => this.states.isRunning(hostName(instance.row)));
    if (running.length === 0) return [];
    const [usages, filesystems] = await Promise.all([
      this.driver.describeUsage(running.map((instance) => this.specs.usageRequest(instance))),
      this.describePools(running),
    ]);
    return running.flatMap(({ row }, index) => {
      const usage = usages[index];
      if (usage === undefined || usage.power === 'Stopped') return [];
      const pool = this.specs.rootOf(running[index]!).pool;
      return [{ name: row.name, project: row.project, type: row.type, usage, filesystem: filesystems.get(pool) ?? null }];
    });
  }

  private async describePools(running: readonly ExpandedInstance[]): Promise<Map<string, NonNullable<MeasuredInstance['filesystem']>>> {
    const names = new Set(running.map((instance) => this.specs.rootOf(instance).pool));
    const found = new Map<string, NonNullable<MeasuredInstance['filesystem']>>();
    const mounts = readFileSync('/proc/self/mounts', 'utf8');
    await Promise.all([...names].map(async (name) => {
      try {
        const { space } = await this.pools.resources(name);
        found.set(name, { type: fileSystemType(mounts, this.state.pool(name)), sizeBytes: space.total ?? 0, freeBytes: (space.total ?? 0) - (space.used ?? 0) });
      } catch (error) {
        this.logger.warn('Failed measuring a storage pool', { pool: name, error: messageOf(error) });
      }
    }));
    return found;
  }
}
