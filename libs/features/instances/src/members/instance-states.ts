import { Injectable } from '@nestjs/common';
import type { InstanceState } from '#api-types';
import { InstanceDriver } from '#ports';
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
  ) {}

  /** Null where the member of the instance does not answer. `InstanceFacts.refresh` comes first. */
  async of(instances: readonly ExpandedInstance[]): Promise<(instance: ExpandedInstance) => InstanceState | null> {
    const running = instances.filter((instance) => isUp(this.facts.of(instance).power));
    const [here, elsewhere] = await Promise.all([
      this.local(running.filter((instance) => this.catalog.isLocal(instance))),
      this.remote.states(running.filter((instance) => !this.catalog.isLocal(instance))),
    ]);
    return (instance) => here.get(instance) ?? elsewhere.get(instance) ?? this.otherwise(instance);
  }

  /** Of instances of this member, whether they run or not. */
  async local(instances: readonly ExpandedInstance[]): Promise<Map<ExpandedInstance, InstanceState>> {
    const running = instances.filter((instance) => isUp(this.facts.of(instance).power));
    const usages = running.length === 0 ? [] : await this.driver.describeUsage(running.map((instance) => this.specs.usageRequest(instance)));
    return new Map(running.map((instance, index) => {
      const usage = usages[index];
      return [instance, usage === undefined ? stoppedState() : toStateApi(usage)];
    }));
  }

  private otherwise(instance: ExpandedInstance): InstanceState | null {
    return this.facts.of(instance).power === 'Stopped' ? stoppedState() : null;
  }
}

function isUp(power: string): boolean {
  return power !== 'Stopped' && power !== 'Error';
}
