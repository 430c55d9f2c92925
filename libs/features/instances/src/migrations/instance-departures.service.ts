import { Injectable } from '@nestjs/common';
import type { InstancePost } from '#api-types';
import { invalid, type RequestContext } from '#kernel';
import type { OperationHandle } from '#platform/operations';
import { indexOf, PoolsService, rsyncOf, VolumeMigrations, VolumesService, type DepartingVolume, type MigrationAddress } from '#features/storage';
import { InstanceDescription } from '../backups/instance-description.service.js';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import type { SnapshotRow } from '../data/instance-snapshot.repository.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { idmapFromText } from '../rules/idmap.rules.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { idmapToWire, toWire } from './wire-snapshots.rules.js';

const live = "Unable to perform container live migration. CRIU isn't installed on the source server";
const idmapKey = 'volatile.last_state.idmap';

/** What a request to send an instance says. */
export type DepartureRequest = Pick<InstancePost, 'live' | 'instance_only' | 'container_only' | 'allow_inconsistent' | 'target'>;

/** Instances and snapshots that go to other servers (`migration: true`). They are only read: that a move takes the source away is the client's doing. */
@Injectable()
export class InstanceDepartures {
  constructor(
    private readonly migrations: VolumeMigrations,
    private readonly volumes: VolumesService,
    private readonly pools: PoolsService,
    private readonly catalog: InstanceCatalog,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly descriptions: InstanceDescription,
    private readonly states: PowerStates,
  ) {}

  /** The instance as it is, or one of its snapshots. */
  async send(ctx: RequestContext, instance: ExpandedInstance, snapshot: SnapshotRow | null, request: DepartureRequest): Promise<OperationHandle> {
    await this.states.ready();
    if (request.live === true && snapshot === null && this.states.isRunning(hostName(instance.row))) throw invalid(live);
    const departing = this.departing(instance, snapshot, request);
    // LXD has no words for a snapshot.
    const options = { kind: 'instance.migrate', description: snapshot === null ? 'Migrating instance' : '', resources: instanceResources(instance.row), ...(snapshot === null ? { cancel: async () => {} } : {}) };
    return this.migrations.send(ctx, departing, request.target ? addressOf(request.target) : null, options);
  }

  private departing(instance: ExpandedInstance, snapshot: SnapshotRow | null, request: DepartureRequest): DepartingVolume {
    const { row, profileNames } = instance;
    const key = this.specs.volumeKey(instance);
    const alone = snapshot !== null || request.instance_only === true || request.container_only === true;
    const config = snapshot === null ? this.catalog.ownConfig(instance) : snapshot.config;
    const { config: pool } = this.pools.spec(key.pool);
    const context = { profiles: profileNames, ephemeral: row.ephemeral, architecture: row.architecture };
    return {
      name: row.name, volume: this.volumes.volumeSpec(key), sourceSnapshot: snapshot?.name ?? '', snapshots: alone ? [] : this.snapshots.list(instance).map((one) => toWire(one, context)),
      idmap: idmapToWire(idmapFromText(config[idmapKey])), index: indexOf(this.descriptions.describe(instance, { instanceOnly: alone })),
      ...rsyncOf(pool), inconsistent: request.allow_inconsistent === true,
    };
  }
}

/** @throws `invalid` for one that says too little. */
function addressOf(target: Readonly<Record<string, unknown>>): MigrationAddress {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const secrets = Object.entries((target['secrets'] ?? {}) as Record<string, unknown>).map(([name, value]) => [name, text(value)]);
  return { operation: text(target['operation']), certificate: text(target['certificate']), secrets: Object.fromEntries(secrets) as Record<string, string> };
}
