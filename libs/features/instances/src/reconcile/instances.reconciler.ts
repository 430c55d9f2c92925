import { Injectable } from '@nestjs/common';
import { internalContext, Logger, messageOf } from '#kernel';
import { InstanceDriver, type InstanceStatus } from '#ports';
import { Database } from '#platform/database';
import { OperationsService } from '#platform/operations';
import { Reconciler } from '#platform/reconcile';
import { FrozenSource } from '../copies/frozen-source.js';
import type { InstanceRow } from '../data/instance.repository.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRemoval } from '../instance-removal.service.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceConflictKey } from '../instance-urls.js';

/**
 * Compares the rows of this member with its host. Operations undo or finish what they began; this is for what no operation speaks of any more: traces
 * on the host without a row (a database restored from a backup) or rows without traces, rows of a creation or deletion whose operation is gone, and what
 * this member remembers of instances that are no more. Something that runs without a row is never touched: it is somebody's work.
 */
@Injectable()
export class InstancesReconciler extends Reconciler {
  readonly name = 'instances';
  readonly periodMs = 10 * 60_000;

  constructor(
    private readonly database: Database,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly driver: InstanceDriver,
    private readonly operations: OperationsService,
    private readonly removal: InstanceRemoval,
    private readonly specs: InstanceSpecs,
    private readonly neighbors: InstanceNeighbors,
    private readonly frozen: FrozenSource,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    // What rows say is believed only when they are known to be the newest: traces are removed by their word.
    if ((await this.database.barrier(internalContext(signal))) === 'stale') return;
    const statuses = await this.driver.describeStatus([]);
    await this.removeTraces(statuses, signal);
    await this.restoreTraces(new Set(statuses.map(({ projectName }) => projectName)), signal);
    await this.finishHalfMade(signal);
    await this.removeEnded(new Map(statuses.map(({ projectName, power }) => [projectName, power])), signal);
    this.forgetStrangers();
    await this.frozen.releaseLeft();
  }

  /** Ephemeral instances that have ended but could not go then, as without a quorum. */
  private async removeEnded(powers: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void> {
    for (const { row } of this.catalog.local()) {
      if (signal.aborted) return;
      const ended = this.member.get(row.id).volatile['volatile.last_state.power'] === 'STOPPED' && (powers.get(hostName(row)) ?? 'Stopped') === 'Stopped';
      if (row.ephemeral && ended && row.state === 'Created' && !this.operations.isBusy(instanceConflictKey(row))) await this.remove(row);
    }
  }

  /** Not while an operation moves the instance: it may be on its way to this member. */
  private forgetStrangers(): void {
    for (const id of this.member.ids()) {
      const instance = this.catalog.findById(id);
      if (instance === undefined || (!this.catalog.isLocal(instance) && !this.operations.isBusy(instanceConflictKey(instance.row)))) this.member.forget(id);
    }
  }

  private async removeTraces(statuses: readonly InstanceStatus[], signal: AbortSignal): Promise<void> {
    // Rows are read after the host was: what has been created meanwhile has one by now. Names under a running operation are its business.
    const all = this.catalog.all();
    const named = new Set(all.filter((instance) => this.catalog.isLocal(instance) || this.operations.isBusy(instanceConflictKey(instance.row))).map(({ row }) => hostName(row)));
    const elsewhere = new Map(all.filter((instance) => !this.catalog.isLocal(instance)).map(({ row }) => [hostName(row), row.location]));
    const busy = new Set(this.operations.list(null).filter((operation) => !operation.ended).flatMap((operation) => namesIn(operation.api().resources)));
    for (const { projectName, power } of statuses) {
      if (signal.aborted) return;
      if (named.has(projectName) || busy.has(projectName)) continue;
      if (power !== 'Stopped') {
        const location = elsewhere.get(projectName);
        if (location === undefined) this.logger.warn('An instance runs that the database does not know', { instance: projectName });
        else this.logger.error('An instance runs here that belongs to another member', { instance: projectName, location });
        continue;
      }
      this.logger.info('Removing traces of an instance that is not here any more', { instance: projectName });
      await this.driver.destroyInstance(projectName).catch((error: unknown) => {
        this.logger.warn('Failed removing traces of an instance', { instance: projectName, error: messageOf(error) });
      });
    }
  }

  /** Links and directories of an instance the host has forgotten; its volume is still there, or its start will say that it is not. */
  private async restoreTraces(known: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const instance of this.catalog.local()) {
      if (signal.aborted) return;
      const { row } = instance;
      if (row.state !== 'Created' || known.has(hostName(row)) || this.operations.isBusy(instanceConflictKey(row))) continue;
      this.logger.info('Making an instance known to the host again', { instance: hostName(row) });
      try {
        await this.driver.createInstance(this.specs.build(instance));
        await this.neighbors.ensureLeases(instance);
      } catch (error) {
        this.logger.warn('Failed making an instance known to the host again', { instance: hostName(row), error: messageOf(error) });
      }
    }
  }

  private async finishHalfMade(signal: AbortSignal): Promise<void> {
    for (const { row } of this.catalog.local()) {
      if (signal.aborted) return;
      if (row.state === 'Created' || this.operations.isBusy(instanceConflictKey(row))) continue;
      this.logger.info('Removing an instance that was never finished', { instance: hostName(row), state: row.state });
      await this.remove(row);
    }
  }

  private async remove(row: InstanceRow): Promise<void> {
    try {
      const operation = await this.removal.schedule(internalContext(undefined, row.project), row.project, row.name);
      await operation.done;
    } catch (error) {
      this.logger.warn('Failed removing an instance that should be no more', { instance: hostName(row), error: messageOf(error) });
    }
  }
}

/** `/1.0/instances/c1?project=web` is `web_c1` on the host. */
function namesIn(resources: Record<string, string[] | null> | null): string[] {
  return (resources?.['instances'] ?? []).map((url) => {
    const parsed = new URL(url, 'http://host');
    return hostName({ project: parsed.searchParams.get('project') ?? 'default', name: decodeURIComponent(parsed.pathname.split('/').pop() ?? '') });
  });
}
