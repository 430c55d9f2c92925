import { expect } from 'vitest';
import type { OperationDefinition, Step, StepClass } from '#platform/operations';
import { describeOperation, type OperationHarness } from '#platform/operations/testing';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceHostPower } from '../instance-host-power.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { createSnapshot } from './create-snapshot.operation.js';
import { deleteSnapshot } from './delete-snapshot.operation.js';
import { InstanceSnapshots } from './instance-snapshots.service.js';
import { renameSnapshot } from './rename-snapshot.operation.js';
import { restoreSnapshot } from './restore-snapshot.operation.js';
import { SnapshotRequests } from './snapshot-requests.service.js';
import { volumeKeyOf, type CreateSnapshotParams, type RenameSnapshotParams, type RestoreSnapshotParams, type SnapshotParams } from './snapshot-operation.params.js';

function harness<P>(member: FakeMember, definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'assertDone' | 'assertClean'>): OperationHarness<P> {
  const steps = definition.steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>));
  return { steps, transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(), ...rest };
}

/** An instance with the marks `one` in its files and its configuration. */
async function world(): Promise<{ member: FakeMember; params: SnapshotParams; volume: () => { content: string; snapshots: Map<string, string>; formers: Map<string, string> } }> {
  const member = await FakeMember.start();
  await member.create('c1', { config: { 'user.mark': 'one' } });
  const { id } = member.get(InstanceCatalog).get('default', 'c1').row;
  const volume = () => member.host.storage.pools.get('default')!.volumes.get('container/c1')!;
  volume().content = 'one';
  return { member, volume, params: { id, project: 'default', name: 'c1', type: 'container', pool: 'default', snapshot: 's0' } };
}

async function snapshotNow(member: FakeMember, name: string): Promise<void> {
  await settled(await member.get(SnapshotRequests).create(member.ctx(), member.get(InstanceCatalog).get('default', 'c1'), { name }));
}

function traces(member: FakeMember, params: SnapshotParams, volume: () => { snapshots: Map<string, string> }, name = params.snapshot) {
  return {
    row: member.get(InstanceSnapshotRepository).find(params.id, name)?.state ?? 'none',
    volumeRow: member.get(SnapshotVolumes).names(volumeKeyOf(params)).includes(name),
    volume: volume().snapshots.has(name),
  };
}

const absent = { row: 'none', volumeRow: false, volume: false };
const present = { row: 'Created', volumeRow: true, volume: true };

for (const running of [false, true]) {
  describeOperation<CreateSnapshotParams>({
    definition: createSnapshot,
    harness: async () => {
      const { member, params, volume } = await world();
      if (running) await member.get(InstanceHostPower).start(params.id);
      const power = () => member.host.instances.instances.get('c1')?.power;
      return harness(member, createSnapshot, {
        params: { ...params, freeze: running },
        reserve: (tx) => {
          const createdAt = tx.now.toISOString();
          member.get(InstanceSnapshotRepository).insert(tx, params.id, { name: 's0', createdAt, stateful: false, description: '', expiresAt: null, config: {}, devices: {} }, 'Creating');
          member.get(SnapshotVolumes).reserve(tx, volumeKeyOf(params), { name: 's0', createdAt, expiresAt: null });
        },
        assertDone: () => {
          expect(traces(member, params, volume)).toEqual(present);
          expect(power()).toBe(running ? 'Running' : 'Stopped');
        },
        assertClean: () => {
          expect(traces(member, params, volume)).toEqual(absent);
          expect(power()).toBe(running ? 'Running' : 'Stopped');
        },
      });
    },
  });

  describeOperation<RestoreSnapshotParams>({
    definition: restoreSnapshot,
    harness: async () => {
      const { member, params, volume } = await world();
      await snapshotNow(member, 's0');
      const repository = member.get(InstanceRepository);
      await member.transactions.run(member.ctx(), (tx) => repository.update(tx, params.id, { ...repository.findById(params.id, tx.sql)!, config: { ...repository.findById(params.id, tx.sql)!.config, 'user.mark': 'two' } }));
      volume().content = 'two';
      if (running) await member.get(InstanceHostPower).start(params.id);
      const found = () => ({
        files: volume().content, config: repository.findById(params.id)?.config['user.mark'], snapshot: volume().snapshots.get('s0'),
        power: member.host.instances.instances.get('c1')?.power, kept: volume().formers.size,
      });
      return harness(member, restoreSnapshot, {
        params: { ...params, running },
        assertDone: () => expect(found()).toEqual({ files: 'one', config: 'one', snapshot: 'one', power: running ? 'Running' : 'Stopped', kept: 0 }),
        // The last step drops what was there, and what fails after it cannot bring that back: then the restore stands, but for the row.
        assertClean: () => {
          const now = found();
          expect(now).toMatchObject({ config: 'two', snapshot: 'one', power: running ? 'Running' : 'Stopped', kept: 0 });
          expect(['one', 'two']).toContain(now.files);
        },
      });
    },
  });
}

describeOperation<SnapshotParams>({
  definition: deleteSnapshot,
  harness: async () => {
    const { member, params, volume } = await world();
    await snapshotNow(member, 's0');
    return harness(member, deleteSnapshot, {
      params,
      assertDone: () => expect(traces(member, params, volume)).toEqual(absent),
      // Data that is gone cannot be brought back; what is left can be deleted again, or is nothing.
      assertClean: () => {
        const found = traces(member, params, volume);
        expect(found).toEqual(found.row === 'none' ? absent : { ...present, volume: found.volume });
      },
    });
  },
});

describeOperation<RenameSnapshotParams>({
  definition: renameSnapshot,
  harness: async () => {
    const { member, params, volume } = await world();
    await snapshotNow(member, 's0');
    const expectMoved = (from: string, to: string): void => {
      expect(traces(member, params, volume, from)).toEqual(absent);
      expect(traces(member, params, volume, to)).toEqual(present);
      expect(member.get(InstanceSnapshots).list(member.get(InstanceCatalog).get('default', 'c1')).map(({ name }) => name)).toEqual([to]);
    };
    return harness(member, renameSnapshot, {
      params: { ...params, newName: 's9' },
      assertDone: () => expectMoved('s0', 's9'),
      assertClean: () => expectMoved('s9', 's0'),
    });
  },
});
