import { Injectable } from '@nestjs/common';
import { internal, unavailable } from '#kernel';
import { TransactionRunner, type Tx } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes, VolumeMigrations, VolumesService, type OfferedVolume } from '#features/storage';
import { onPool } from '../../copies/instance-copies.service.js';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { sorted } from '../../rules/expand.rules.js';
import type { ReceiveInstanceParams } from '../migration.params.js';
import { fromWire, idmapText } from '../wire-snapshots.rules.js';

const idmapKey = 'volatile.last_state.idmap';

/** Fills the reserved root volume, and its snapshots, with what the other server sends. */
@Injectable()
export class ReceiveRootVolumeStep extends Step<ReceiveInstanceParams, void> {
  readonly name = 'receive-root-volume';
  // Nobody goes on with a conversation of a dead process: what it left is undone.
  override readonly saveOutput = false;

  constructor(
    private readonly migrations: VolumeMigrations,
    private readonly volumes: VolumesService,
    private readonly volumeSnapshots: SnapshotVolumes,
    private readonly runner: TransactionRunner,
    private readonly catalog: InstanceCatalog,
    private readonly repository: InstanceRepository,
    private readonly snapshots: InstanceSnapshotRepository,
  ) {
    super();
  }

  override async run(context: StepContext, params: ReceiveInstanceParams): Promise<void> {
    const arrival = this.migrations.arriving(params.session);
    if (arrival === undefined) throw unavailable('The other side has hung up');
    const offered = await arrival.offer();
    const snapshots = params.alone ? [] : offered.snapshots;
    await this.runner.run(context.ctx, (tx) => this.writeRows(tx, params, { ...offered, snapshots }));
    const volume = this.volumes.volumeSpec(rootVolumeKey(params));
    await arrival.accept({ volume, snapshots, refresh: false });
    await arrival.receive({ name: params.name, volume, sizeBytes: this.volumes.sizeBytes(params.pool, params.size), refreshToken: '' }, context.signal);
  }

  override async undo(_context: StepContext, params: ReceiveInstanceParams): Promise<void> {
    await this.volumes.destroyInstanceVolume(rootVolumeKey(params));
  }

  private writeRows(tx: Tx, params: ReceiveInstanceParams, { header, snapshots }: OfferedVolume): void {
    const row = this.repository.findByName(params.project, params.name, tx.sql);
    if (row === undefined) throw internal('Instance not found');
    this.repository.update(tx, row.id, { ...row, config: sorted({ ...row.config, [idmapKey]: idmapText(header.idmap) }) });
    const instance = this.catalog.expand(row, tx.sql);
    const known = new Set(this.snapshots.listByInstance(row.id, tx.sql).map(({ name }) => name));
    for (const wire of snapshots.filter(({ name }) => !known.has(name))) {
      const snapshot = fromWire(wire, tx.now.toISOString());
      this.snapshots.insert(tx, row.id, { ...snapshot, devices: onPool(snapshot.devices, instance, params.pool) }, 'Created');
      this.volumeSnapshots.reserve(tx, rootVolumeKey(params), snapshot);
    }
  }
}
