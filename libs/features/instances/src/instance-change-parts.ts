import { Injectable } from '@nestjs/common';
import { InstanceDriver, type IdmapEntry } from '#ports';
import type { Sql } from '#platform/database';
import { VolumesService } from '#features/storage';
import { GuestEvents } from './guests/index.js';
import type { ExpandedInstance } from './data/instance.catalog.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceDisks } from './instance-disks.js';
import { InstanceLocks } from './instance-locks.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { InstanceRows } from './instance-rows.service.js';
import { InstanceSpecs } from './instance-specs.js';
import { hostName } from './instance-urls.js';
import { PowerStates } from './power-states.js';

/** The parts of a change that do not care whether an instance or its profile was edited. */
@Injectable()
export class InstanceChangeParts {
  constructor(
    readonly rows: InstanceRows,
    private readonly locks: InstanceLocks,
    private readonly neighbors: InstanceNeighbors,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly volumes: VolumesService,
    private readonly member: MemberVolatileStore,
    private readonly guests: GuestEvents,
    private readonly disks: InstanceDisks,
  ) {}

  async hostIdmap(): Promise<readonly IdmapEntry[]> {
    return (await this.neighbors.hostDescription()).idmap;
  }

  isRunning(instance: ExpandedInstance): boolean {
    return this.states.isRunning(hostName(instance.row));
  }

  /** Refuses disks that a changed profile gives an instance that cannot have them. */
  checkDisks(before: ExpandedInstance, after: ExpandedInstance, sql: Sql): void {
    this.disks.checkAdded(sql, after.row, before.expandedDevices, after.expandedDevices);
  }

  async exclusively(id: number, work: () => Promise<void>): Promise<void> {
    const lock = await this.locks.acquireUpdate(id, true);
    try {
      await work();
    } finally {
      lock.release();
    }
  }

  /** Brings quota, host and leases in line. Safe to repeat; undone by the same call the other way round. */
  async applyOnHost(before: ExpandedInstance, after: ExpandedInstance): Promise<void> {
    if (this.isRunning(after)) this.disks.refuseOtherMaps(after, (device) => JSON.stringify(before.expandedDevices[device]) !== JSON.stringify(after.expandedDevices[device]));
    const [from, to] = [this.specs.rootOf(before), this.specs.rootOf(after)];
    if (from.size !== to.size) await this.volumes.resizeInstanceVolume(this.specs.volumeKey(after), to.size);
    const { volatile } = await this.driver.updateInstance(this.specs.build(before), this.specs.build(after));
    if (Object.keys(volatile).length > 0) this.member.merge(after.row.id, volatile);
    await this.neighbors.ensureLeases(after, before);
    this.guests.changed(before, after);
  }
}
