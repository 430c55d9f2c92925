import { Injectable } from '@nestjs/common';
import type { InstanceState } from '#api-types';
import { InstanceDriver } from '#ports';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSpecs } from '../instance-specs.js';
import { stoppedState, toStateApi } from '../rules/wire.rules.js';
import { InstanceFacts } from './instance-facts.js';
import { RemoteInstances } from './remote-instances.js';

/** What instances use, of any member: one question to this host and one to each other member, whatever the length of the list. */
@Injectable()
export class InstanceStates {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly facts: InstanceFacts,
    private readonly remote: RemoteInstances,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly volumes: SnapshotVolumes,
  ) {}

  /** Null where the member of the instance does not answer. `InstanceFacts.refresh` comes first. */
  async of(instances: readonly ExpandedInstance[]): Promise<(instance: ExpandedInstance) => InstanceState | null> {
    const measured = await this.measurable(instances);
    const [here, elsewhere] = await Promise.all([
      this.local(measured.filter((instance) => this.catalog.isLocal(instance))),
      this.remote.states(measured.filter((instance) => !this.catalog.isLocal(instance))),
    ]);
    return (instance) => here.get(instance) ?? elsewhere.get(instance) ?? this.otherwise(instance);
  }

  /** Of those that `measurable` has chosen, on this member. */
  async local(instances: readonly ExpandedInstance[]): Promise<Map<ExpandedInstance, InstanceState>> {
    const usages = instances.length === 0 ? [] : await this.driver.describeUsage(instances.map((instance) => this.specs.usageRequest(instance))).catch((error: unknown) => {
      // What stopped ones hold is not worth failing for.
      if (instances.every((instance) => this.facts.of(instance).power === 'Stopped')) return [];
      throw error;
    });
    return new Map(instances.map((instance, index) => {
      const usage = usages[index];
      return [instance, usage === undefined ? stoppedState() : toStateApi(usage)];
    }));
  }

  /** Those of which a host can tell something: what runs, and what a stopped one holds on a pool that counts it. */
  private async measurable(instances: readonly ExpandedInstance[]): Promise<ExpandedInstance[]> {
    const counting = new Map<string, boolean>();
    for (const instance of instances) {
      const { pool } = this.specs.rootOf(instance);
      if (!counting.has(pool)) counting.set(pool, await this.volumes.hasQuotas(pool));
    }
    return instances.filter((instance) => {
      const { power } = this.facts.of(instance);
      return power === 'Stopped' ? counting.get(this.specs.rootOf(instance).pool) : power !== 'Error';
    });
  }

  private otherwise(instance: ExpandedInstance): InstanceState | null {
    return this.facts.of(instance).power === 'Stopped' ? stoppedState() : null;
  }
}
