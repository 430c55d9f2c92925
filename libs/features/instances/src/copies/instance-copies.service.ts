import { Injectable } from '@nestjs/common';
import type { InstancesPost } from '#api-types';
import { invalid, LocalMember, notFound, notImplemented } from '#kernel';
import type { Tx } from '#platform/database';
import { apiUrl } from '#platform/http';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { rootVolumeKey } from '../operations/instance-operation.params.js';
import { PowerStates } from '../power-states.js';
import { copiedConfig } from '../rules/volatile.rules.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import type { CopyInstanceParams, CopySource } from './copy-operation.params.js';

export interface ResolvedCopy {
  readonly source: CopySource;
  /** The request with what it leaves to the source filled in. */
  readonly request: InstancesPost;
}

/** What `source.type: copy` means for a request: what comes from the source, and which of its rows the copy gets. */
@Injectable()
export class InstanceCopies {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly repository: InstanceRepository,
    private readonly rows: InstanceSnapshotRepository,
    private readonly snapshots: InstanceSnapshots,
    private readonly volumes: SnapshotVolumes,
    private readonly specs: InstanceSpecs,
    private readonly states: PowerStates,
    private readonly self: LocalMember,
  ) {}

  /** @throws in LXD's words. */
  async resolve(project: string, request: InstancesPost): Promise<ResolvedCopy> {
    const asked = request.source ?? {};
    if (!asked.source) throw invalid('Must specify a source instance');
    const from = asked.project || project;
    const [name = '', snapshot = ''] = asked.source.split('/', 2);
    const instance = this.catalog.find(from, name);
    if (instance === undefined) throw notFound(`Failed to fetch instance "${name}" in project "${from}": Instance not found`);
    if (asked.refresh && this.catalog.find(project, request.name ?? '') !== undefined) throw notImplemented('Refreshing a copy is not supported by this server');
    if (request.type && request.type !== instance.row.type) throw invalid('Instance type should not be specified or should match source type');
    const own = snapshot === '' ? { config: this.catalog.ownConfig(instance), devices: instance.row.devices } : this.snapshots.get(instance, snapshot);
    const alone = asked.instance_only === true || asked.container_only === true || snapshot !== '';
    return {
      source: await this.sourceOf(instance, snapshot, alone ? [] : this.snapshots.list(instance).map((row) => row.name), own.config['volatile.last_state.idmap'] ?? ''),
      request: {
        ...request, type: instance.row.type, architecture: instance.row.architecture, config: { ...copiedConfig(own.config), ...request.config },
        devices: { ...own.devices, ...request.devices }, profiles: request.profiles ?? [...instance.profileNames],
      },
    };
  }

  /** Rows of the snapshots that go along, once those of the copy are reserved. */
  reserveSnapshots(tx: Tx, params: CopyInstanceParams): void {
    const { source } = params;
    if (source.snapshots.length === 0) return;
    const copy = this.repository.findByName(params.project, params.name, tx.sql)!;
    for (const row of this.rows.listByInstance(source.id, tx.sql)) if (source.snapshots.includes(row.name)) this.rows.insert(tx, copy.id, row, 'Created');
    this.volumes.copyRows(tx, { ...source.volume, memberId: source.memberId }, rootVolumeKey(params), source.snapshots);
  }

  /** The copy, and the snapshot it is made from. */
  resources(params: CopyInstanceParams): Record<string, string[]> {
    const { volume, snapshot } = params.source;
    const resources = instanceResources(params);
    if (snapshot === '') return resources;
    return Object.fromEntries(Object.entries(resources).map(([kind, urls]) => [kind, [...urls, apiUrl(['1.0', kind, volume.name, snapshot], volume.project)]]));
  }

  private async sourceOf(instance: ExpandedInstance, snapshot: string, snapshots: readonly string[], idmap: string): Promise<CopySource> {
    const volume = this.specs.volumeKey(instance);
    const { memberId, id } = instance.row;
    const freeze = memberId === this.self.id && snapshot === '' && this.states.get(hostName(instance.row)).power === 'Running' && (await this.volumes.freezesToCopy(volume.pool));
    return { memberId, id, volume, snapshot, snapshots, idmap, freeze };
  }
}
