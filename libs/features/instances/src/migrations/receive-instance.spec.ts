import { once } from 'node:events';
import { expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { OperationsService, type OperationDefinition, type Step, type StepClass } from '#platform/operations';
import { describeOperation, type OperationHarness } from '#platform/operations/testing';
import { VolumeMigrations, VolumesService, type VolumeArrival } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceSpecs } from '../instance-specs.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRows } from '../instance-rows.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { InstanceDepartures } from './instance-departures.service.js';
import type { ReceiveInstanceParams, ReceiveRefreshParams } from './migration.params.js';
import { receiveInstance, receiveRefresh } from './receive-instance.operation.js';

const session = 'conversation';
const find = (member: FakeMember, name: string) => member.get(InstanceCatalog).get('default', name);
const volume = (member: FakeMember, name: string) => member.host.storage.pools.get('default')?.volumes.get(`container/${name}`);
const rows = (member: FakeMember, name: string) => member.get(InstanceSnapshotRepository).listByInstance(find(member, name).row.id);

async function snapshot(member: FakeMember, name: string, content: string): Promise<void> {
  volume(member, 'c1')!.content = content;
  await settled(await member.get(SnapshotRequests).create(member.ctx(), find(member, 'c1'), { name }));
}

/** `c1` of this very member is on its way to it, as from another server. */
class Conversation {
  private constructor(readonly arrival: VolumeArrival, private readonly listener: WebSocketServer, private readonly sockets: readonly WebSocket[]) {}

  static async begin(member: FakeMember): Promise<Conversation> {
    const listener = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(listener, 'listening');
    const departure = await member.get(InstanceDepartures).send(member.ctx(), find(member, 'c1'), null, {});
    const connect = async (name: string): Promise<WebSocket> => {
      const connection = once(listener, 'connection');
      const socket = new WebSocket(`ws://127.0.0.1:${(listener.address() as { port: number }).port}`);
      socket.on('error', () => {});
      socket.once('open', () => socket.pause());
      const [theirs] = (await connection) as [WebSocket];
      await once(socket, 'open');
      await member.get(OperationsService).connect(departure.id, (departure.api().metadata as Record<string, string>)[name]!, async () => theirs);
      return socket;
    };
    const [control, fs] = [await connect('control'), await connect('fs')];
    const arrival = member.get(VolumeMigrations).expect(session, { wait: async () => ({ control, fs }), close: () => {} }, () => {});
    return new Conversation(arrival, listener, [control, fs]);
  }

  async close(): Promise<void> {
    await this.arrival.end(new TypeError('over'));
    for (const socket of [...this.sockets, ...this.listener.clients]) socket.terminate();
    this.listener.close();
  }
}

function harness<P>(
  member: FakeMember, conversation: Conversation, definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'assertDone' | 'assertClean'>,
): OperationHarness<P> {
  return {
    steps: definition.steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>)),
    transactions: member.transactions, database: member.database, feed: member.feed, ...rest,
    close: async () => {
      await conversation.close();
      await member.close();
    },
  };
}

describeOperation<ReceiveInstanceParams>({
  definition: receiveInstance,
  harness: async () => {
    const member = await FakeMember.start();
    await member.create('c1');
    await snapshot(member, 's0', 'first');
    volume(member, 'c1')!.content = 'second';
    const params: ReceiveInstanceParams = { project: 'default', name: 'c2', type: 'container', pool: 'default', size: '', fingerprint: '', remote: null, session, alone: false };
    const { idmap } = await member.get(InstanceNeighbors).hostDescription();
    const traces = () => ({
      row: member.get(InstanceRepository).findByName('default', 'c2')?.state ?? 'none', volume: volume(member, 'c2')?.content ?? 'none', host: member.host.instances.instances.has('c2'),
      rows: member.get(VolumesService).find({ pool: 'default', project: 'default', name: 'c2', type: 'container' }) !== undefined, snapshots: [...(volume(member, 'c2')?.snapshots ?? [])],
    });
    return harness(member, await Conversation.begin(member), receiveInstance, {
      params,
      reserve: (tx) => void member.get(InstanceRows).reserve(tx, 'default', {
        memberId: 1, projectId: 1, name: 'c2', type: 'container', architecture: 'x86_64', ephemeral: false, description: '', profiles: [1], config: {}, devices: {},
      }, idmap),
      assertDone: () => {
        expect(traces()).toEqual({ row: 'Created', volume: 'second', host: true, rows: true, snapshots: [['s0', 'first']] });
        expect(rows(member, 'c2').map(({ name }) => name)).toEqual(['s0']);
      },
      assertClean: () => {
        expect(traces()).toEqual({ row: 'none', volume: 'none', host: false, rows: false, snapshots: [] });
        expect(volume(member, 'c1')?.content).toBe('second');
      },
    });
  },
});

describeOperation<ReceiveRefreshParams>({
  definition: receiveRefresh,
  harness: async () => {
    const member = await FakeMember.start();
    await member.create('c1');
    await snapshot(member, 's0', 'first');
    await settled(await member.get(InstanceCreation).create(member.ctx(), { name: 'c2', source: { type: 'copy', source: 'c1' } }, null, null));
    await settled(await member.get(SnapshotRequests).delete(member.ctx(), find(member, 'c1'), rows(member, 'c1')[0]!));
    await snapshot(member, 's1', 'second');
    volume(member, 'c1')!.content = 'third';
    const { row } = find(member, 'c2');
    const conversation = await Conversation.begin(member);
    const offered = await conversation.arrival.offer();
    await conversation.arrival.accept({ volume: member.get(InstanceSpecs).rootVolume(find(member, 'c2')), snapshots: offered.snapshots, refresh: true });
    const params: ReceiveRefreshParams = {
      id: row.id, project: 'default', name: 'c2', type: 'container', pool: 'default', session, idmap: '[]', bring: rows(member, 'c1'), drop: ['s0'],
    };
    const files = () => [volume(member, 'c2')?.content, ...volume(member, 'c2')!.snapshots];
    return harness(member, conversation, receiveRefresh, {
      params,
      assertDone: () => {
        expect([files(), volume(member, 'c2')?.formers.size]).toEqual([['third', ['s1', 'second']], 0]);
        expect(rows(member, 'c2').map(({ name }) => name)).toEqual(['s1']);
      },
      // The last step drops what was there, and what fails after it cannot bring that back.
      assertClean: () => {
        expect(rows(member, 'c2').map(({ name }) => name)).toEqual(['s0']);
        if (volume(member, 'c2')?.content !== 'third') expect(files()).toEqual(['first', ['s0', 'first']]);
      },
    });
  },
});
