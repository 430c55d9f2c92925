import { expect } from 'vitest';
import type { OperationDefinition, Step, StepClass } from '#platform/operations';
import { describeOperation, type OperationHarness } from '#platform/operations/testing';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { settled } from '../testing/fake-member.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { discardInstance } from './discard-instance.operation.js';
import { moveInstance } from './move-instance.operation.js';
import { formerVolume, type DiscardInstanceParams, type MoveInstanceParams } from './move-operation.params.js';

/** `c1` with a snapshot on member 1 of two. */
async function world(): Promise<{ cluster: FakeCluster; params: MoveInstanceParams }> {
  const cluster = await FakeCluster.start(2);
  const member = cluster.member(1);
  await member.create('c1');
  const instance = () => member.get(InstanceCatalog).get('default', 'c1');
  await settled(await member.get(SnapshotRequests).create(member.ctx(), instance(), { name: 's0' }));
  await cluster.sync();
  return { cluster, params: { id: instance().row.id, project: 'default', name: 'c1', type: 'container', pool: 'default', from: 1, epoch: 1, snapshots: ['s0'], size: '' } };
}

function harness<P>(cluster: FakeCluster, definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'assertDone' | 'assertClean'>): OperationHarness<P> {
  const member = cluster.member(2);
  const steps = definition.steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>));
  return { steps, transactions: member.transactions, database: member.database, feed: member.feed, member: member.host.member, close: () => cluster.close(), ...rest };
}

const volume = (cluster: FakeCluster, id: number) => cluster.member(id).host.storage.pools.get('default')?.volumes.get('container/c1');

function at(cluster: FakeCluster, id: number) {
  return {
    volume: volume(cluster, id) !== undefined,
    host: cluster.member(id).host.instances.instances.has('c1'),
    row: cluster.member(2).database.read.get("SELECT 1 FROM storage_volumes WHERE name = 'c1' AND node_id = ?", id) !== undefined,
    instance: cluster.member(2).database.read.get("SELECT 1 FROM instances WHERE name = 'c1' AND node_id = ?", id) !== undefined,
  };
}

const nothing = { volume: false, host: false, row: false, instance: false };
const everything = { volume: true, host: true, row: true, instance: true };

async function arrived(cluster: FakeCluster): Promise<void> {
  expect(at(cluster, 2)).toEqual(everything);
  expect([...volume(cluster, 2)!.snapshots.keys()]).toEqual(['s0']);
  // What is left at the source is that member's to remove, which it does when it reads of it.
  await expect.poll(async () => { await cluster.sync(); return at(cluster, 1); }).toEqual(nothing);
}

describeOperation<MoveInstanceParams>({
  definition: moveInstance,
  harness: async () => {
    const { cluster, params } = await world();
    return harness(cluster, moveInstance, {
      params,
      reserve: (tx) => {
        cluster.member(2).get(VolumesService).reserveInstanceVolume(tx, formerVolume(params));
        cluster.member(2).get(SnapshotVolumes).copyRows(tx, { ...formerVolume(params), memberId: 1 }, formerVolume(params));
      },
      assertDone: () => arrived(cluster),
      // One whole instance on exactly one member: after the last transaction there is no way back.
      assertClean: async () => {
        if (at(cluster, 2).instance) return arrived(cluster);
        expect(at(cluster, 1)).toEqual(everything);
        expect(at(cluster, 2)).toEqual(nothing);
      },
    });
  },
});

describeOperation<DiscardInstanceParams>({
  definition: discardInstance,
  harness: async () => {
    const { cluster, params } = await world();
    const member = cluster.member(2);
    const key = formerVolume(params);
    // As a move away from member 2 leaves it.
    await member.transactions.run(member.ctx(), (tx) => member.get(VolumesService).reserveInstanceVolume(tx, key));
    await member.get(VolumesService).createInstanceVolume(member.ctx(), { ...key, imageFingerprint: '' });
    return harness(cluster, discardInstance, {
      params,
      assertDone: () => {
        expect(at(cluster, 2)).toEqual(nothing);
        expect(at(cluster, 1)).toEqual(everything);
      },
      // It goes on until it has succeeded; given up, what is left has its row.
      assertClean: () => {
        expect(at(cluster, 1)).toEqual(everything);
        if (!at(cluster, 2).row) expect(at(cluster, 2)).toEqual(nothing);
      },
    });
  },
});
