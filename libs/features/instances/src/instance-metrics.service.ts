import { Injectable } from '@nestjs/common';
import { Clock, Logger, messageOf } from '#kernel';
import { InstanceDriver } from '#ports';
import { PoolsService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceSpecs } from './instance-specs.js';
import { hostName } from './instance-urls.js';
import { PowerStates } from './power-states.js';
import { metricsText, type MeasuredInstance } from './rules/metrics.rules.js';

/** As long as LXD's, so that several scrapers cost as much as one. */
const freshMs = 8000;

/** `GET /1.0/metrics`: one call to the agent for everything that runs here. */
@Injectable()
export class InstanceMetrics {
  private measured: Promise<readonly MeasuredInstance[]> | undefined;
  private measuredAtMs = -Infinity;
  /** What was measured as text, encoded, by project: several scrapers ask for the same. */
  private readonly texts = new Map<string | null, Buffer>();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly pools: PoolsService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Of one project, or of all with null. */
  async text(project: string | null): Promise<Buffer> {
    const nowMs = this.clock.monotonicMs();
    if (this.measured === undefined || nowMs - this.measuredAtMs > freshMs) {
      this.measuredAtMs = nowMs;
      this.measured = this.measure();
      this.measured.catch(() => { this.measured = undefined; });
      this.texts.clear();
    }
    const { measured } = this;
    const all = await measured;
    const text = this.texts.get(project) ?? Buffer.from(metricsText(project === null ? all : all.filter((instance) => instance.project === project)));
    if (measured === this.measured) this.texts.set(project, text);
    return text;
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
    await Promise.all([...names].map(async (name) => {
      try {
        const { space } = await this.pools.resources(name);
        found.set(name, { type: this.pools.get(name).driver, sizeBytes: space.total ?? 0, freeBytes: (space.total ?? 0) - (space.used ?? 0) });
      } catch (error) {
        this.logger.warn('Failed measuring a storage pool', { pool: name, error: messageOf(error) });
      }
    }));
    return found;
  }
}
