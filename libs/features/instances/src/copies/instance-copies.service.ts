import { Injectable } from '@nestjs/common';
import type { DeviceMap, InstancesPost } from '#api-types';
import { findRootDisk, isRootDisk } from '#config-schema';
import { invalid, LocalMember, notFound } from '#kernel';
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
import { normalizeDevices } from '../rules/expand.rules.js';
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
    if (request.type && request.type !== instance.row.type) throw invalid('Instance type should not be specified or should match source type');
    const own = snapshot === '' ? { config: this.catalog.ownConfig(instance), devices: instance.row.devices } : this.snapshots.get(instance, snapshot);
    const stateful = snapshot !== '' && asked.live === true && this.snapshots.get(instance, snapshot).stateful;
    const alone = asked.instance_only === true || asked.container_only === true || snapshot !== '';
    return {
      source: { ...(await this.sourceOf(instance, snapshot, alone ? [] : this.snapshots.list(instance).map((row) => row.name), own.config['volatile.last_state.idmap'] ?? '')), stateful, live: asked.live === true, inconsistent: asked.allow_inconsistent === true },
      request: {
        ...request, type: instance.row.type, architecture: instance.row.architecture, config: { ...copiedConfig(own.config), ...request.config },
        devices: { ...own.devices, ...request.devices }, profiles: request.profiles ?? [...instance.profileNames],
      },
    };
  }

  /** Whether it goes on from a state, and rows of the snapshots that go along, once those of the copy are reserved. */
  reserveSnapshots(tx: Tx, params: CopyInstanceParams): void {
    const { source } = params;
    const copy = this.repository.findByName(params.project, params.name, tx.sql)!;
    if (source.stateful === true) this.repository.setStateful(tx, copy.id, true);
    if (source.snapshots.length === 0) return;
    const expanded = this.catalog.expand(copy, tx.sql);
    for (const row of this.rows.listByInstance(source.id, tx.sql)) {
      if (source.snapshots.includes(row.name)) this.rows.insert(tx, copy.id, { ...row, devices: onPool(row.devices, expanded, params.pool) }, 'Created');
    }
    this.volumes.copyRows(tx, { ...source.volume, memberId: source.memberId }, rootVolumeKey(params), source.snapshots);
  }

  /** The copy, and the instance or snapshot it is made from. */
  resources(params: Pick<CopyInstanceParams, 'project' | 'name' | 'type' | 'source'>): Record<string, string[]> {
    const { volume, snapshot } = params.source;
    const resources = instanceResources(params);
    const path = snapshot === '' ? [volume.name] : [volume.name, snapshot];
    return Object.fromEntries(Object.entries(resources).map(([kind, urls]) => [kind, [...urls, apiUrl(['1.0', kind, ...path], volume.project)]]));
  }

  private async sourceOf(instance: ExpandedInstance, snapshot: string, snapshots: readonly string[], idmap: string): Promise<CopySource> {
    const volume = this.specs.volumeKey(instance);
    const { memberId, id } = instance.row;
    const freeze = memberId === this.self.id && snapshot === '' && this.states.get(hostName(instance.row)).power === 'Running' && (await this.volumes.freezesToCopy(volume.pool));
    return { memberId, id, volume, snapshot, snapshots, idmap, freeze };
  }
}

/** A snapshot's root disk lies where its instance's does: it could not be restored otherwise. */
export function onPool(devices: Readonly<DeviceMap>, { row, expandedDevices }: ExpandedInstance, pool: string): DeviceMap {
  const own = Object.keys(devices).find((name) => isRootDisk(devices[name]!));
  if (own !== undefined) return { ...devices, [own]: { ...devices[own], pool } };
  // Without one of its own it has that of the profiles, as long as its instance has too.
  const { name } = findRootDisk(expandedDevices);
  return Object.hasOwn(row.devices, name) ? normalizeDevices({ ...devices, [name]: { type: 'disk', path: '/', pool } }) : devices;
}
