import { expect } from 'vitest';
import type { OperationDefinition, Step, StepClass } from '#platform/operations';
import { describeOperation, type OperationHarness } from '#platform/operations/testing';
import { NetworksService } from '#features/networks';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRows } from '../instance-rows.service.js';
import { FakeMember } from '../testing/fake-member.js';
import { createInstance } from './create-instance.operation.js';
import type { CreateInstanceParams } from './instance-operation.params.js';
import { deleteInstance } from './delete-instance.operation.js';
import type { DeleteInstanceParams } from './instance-operation.params.js';
import { renameInstance } from './rename-instance.operation.js';
import type { RenameInstanceParams } from './instance-operation.params.js';
import { updateInstance } from './update-instance.operation.js';
import type { UpdateInstanceParams } from './instance-operation.params.js';

const network = 'br7';
const nic = { eth0: { type: 'nic', nictype: 'bridged', parent: network, name: 'eth0' } };

async function world(): Promise<FakeMember> {
  const member = await FakeMember.start();
  await member.get(NetworksService).create(member.ctx(), {
    name: network, type: 'bridge', description: '', config: { 'ipv4.address': '10.7.7.1/24', 'ipv6.address': 'none' },
  });
  return member;
}

function harness<P>(member: FakeMember, definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'assertDone' | 'assertClean'>): OperationHarness<P> {
  const steps = definition.steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>));
  return { steps, transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(), ...rest };
}

function traces(member: FakeMember, name: string) {
  return {
    row: member.get(InstanceRepository).findByName('default', name)?.state ?? 'none',
    volumeRow: member.database.read.get('SELECT 1 FROM storage_volumes WHERE name = ?', name) !== undefined,
    known: member.host.instances.instances.has(name),
    volume: member.host.storage.pools.get('default')?.volumes.has(`container/${name}`) ?? false,
    lease: member.host.networks.bridges.get(network)?.staticLeases.has(`default/${name}/eth0`) ?? false,
  };
}

const absent = { row: 'none', volumeRow: false, known: false, volume: false, lease: false };
const present = { row: 'Created', volumeRow: true, known: true, volume: true, lease: true };

describeOperation<CreateInstanceParams>({
  definition: createInstance,
  harness: async () => {
    const member = await world();
    const { idmap } = await member.get(InstanceNeighbors).hostDescription();
    return harness(member, createInstance, {
      params: { project: 'default', name: 'c1', type: 'container', pool: 'default', size: '', fingerprint: '', remote: null },
      reserve: (tx) => {
        member.get(InstanceRows).reserve(tx, 'default', {
          memberId: 1, projectId: 1, name: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false, description: '', profiles: [1], config: {}, devices: nic,
        }, idmap);
      },
      assertDone: () => expect(traces(member, 'c1')).toEqual(present),
      assertClean: () => expect(traces(member, 'c1')).toEqual(absent),
    });
  },
});

describeOperation<DeleteInstanceParams>({
  definition: deleteInstance,
  harness: async () => {
    const member = await world();
    await member.create('c1', { devices: nic });
    const { id } = member.get(InstanceCatalog).get('default', 'c1').row;
    return harness(member, deleteInstance, {
      params: { id, project: 'default', name: 'c1', type: 'container', pool: 'default' },
      assertDone: () => expect(traces(member, 'c1')).toEqual(absent),
      // Data that is gone cannot be brought back; what is left is an instance that can be deleted again, or nothing.
      assertClean: () => {
        const found = traces(member, 'c1');
        expect(found).toEqual(found.row === 'none' ? absent : { ...present, volume: found.volume });
      },
    });
  },
});

describeOperation<RenameInstanceParams>({
  definition: renameInstance,
  harness: async () => {
    const member = await world();
    await member.create('c1', { devices: nic });
    const { id } = member.get(InstanceCatalog).get('default', 'c1').row;
    const expectMoved = (from: string, to: string): void => {
      expect(traces(member, from)).toEqual(absent);
      expect(traces(member, to)).toEqual(present);
    };
    return harness(member, renameInstance, {
      params: { id, project: 'default', name: 'c1', newName: 'c2', type: 'container', pool: 'default' },
      assertDone: () => expectMoved('c1', 'c2'),
      assertClean: () => expectMoved('c2', 'c1'),
    });
  },
});

describeOperation<UpdateInstanceParams>({
  definition: updateInstance,
  harness: async () => {
    const member = await world();
    await member.create('c1', { devices: nic, config: { 'user.a': '1' } });
    const repository = member.get(InstanceRepository);
    const { idmap } = await member.get(InstanceNeighbors).hostDescription();
    const before = repository.findByName('default', 'c1')!;
    const params: UpdateInstanceParams = { project: 'default', name: 'c1', before: null, after: null, local: null };
    return harness(member, updateInstance, {
      params,
      reserve: (tx) => {
        const row = repository.findByName('default', 'c1', tx.sql)!;
        Object.assign(params, member.get(InstanceRows).update(tx, row, { ...row, config: { ...row.config, 'limits.processes': '5' }, devices: {} }, idmap));
      },
      assertDone: () => {
        expect(repository.findByName('default', 'c1')?.config).toMatchObject({ 'limits.processes': '5' });
        expect(member.host.instances.instances.get('c1')?.spec.config).toMatchObject({ 'limits.processes': '5' });
        expect(traces(member, 'c1').lease).toBe(false);
      },
      assertClean: () => {
        expect(repository.findByName('default', 'c1')).toEqual(before);
        expect(member.host.instances.instances.get('c1')?.spec.config).not.toHaveProperty('limits.processes');
        expect(traces(member, 'c1').lease).toBe(true);
      },
    });
  },
});
