import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstanceSource } from '#api-types';
import type { Step, StepClass } from '#platform/operations';
import { describeOperation } from '#platform/operations/testing';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { InstancePower } from '../instance-power.service.js';
import { createAndStartInstance } from '../operations/create-instance.operation.js';
import type { CreateInstanceParams } from '../operations/instance-operation.params.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRows } from '../instance-rows.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import type { RebuildInstanceParams } from './rebuild-operation.params.js';
import { rebuildInstance } from './rebuild-instance.operation.js';
import { RebuildRequests } from './rebuild-requests.service.js';

const [first, second] = ['a'.repeat(64), 'b'.repeat(64)];
const find = (member: FakeMember, name = 'c1') => member.get(InstanceCatalog).get('default', name);
const volumes = (member: FakeMember) => [...member.host.storage.pools.get('default')!.volumes.values()].filter(({ kind }) => kind === 'container');
const config = (member: FakeMember) => member.get(InstanceCatalog).ownConfig(find(member));

async function addImage(member: FakeMember, id: number, fingerprint: string, os: string): Promise<void> {
  member.host.storage.images.add(fingerprint);
  await member.transactions.run(member.ctx(), (tx) => {
    tx.sql.run(
      `INSERT INTO images (id, project_id, fingerprint, filename, type, size, architecture, creation_date, expiry_date, upload_date, last_use_date, properties)
       VALUES (?, 1, ?, 'i', 'container', 1, 'x86_64', '', '', '', '', ?)`,
      id, fingerprint, JSON.stringify({ os }));
    tx.sql.run('INSERT INTO images_nodes (image_id, node_id) VALUES (?, 1)', id);
  });
}

async function world(): Promise<FakeMember> {
  const member = await FakeMember.start();
  await addImage(member, 1, first, 'one');
  await addImage(member, 2, second, 'two');
  await member.create('c1', { source: { type: 'image', fingerprint: first }, config: { 'user.mark': 'kept' }, profiles: ['default'] });
  volumes(member)[0]!.content = 'used';
  return member;
}

describe('a rebuild', () => {
  let member: FakeMember;
  beforeAll(async () => { member = await world(); });
  afterAll(() => member.close());

  const rebuild = async (source: InstanceSource) => settled(await member.get(RebuildRequests).rebuild(member.ctx(), find(member), { source }));

  it('gives a root disk of another image, and keeps what is the instance’s own', async () => {
    const before = config(member);

    const operation = await rebuild({ type: 'image', fingerprint: second });

    expect(volumes(member).map(({ name, content, imageFingerprint }) => [name, content, imageFingerprint])).toEqual([['c1', '', second]]);
    expect(config(member)).toEqual({
      ...before, 'image.os': 'two', 'volatile.base_image': second, 'volatile.apply_template': 'create', 'volatile.cloud-init.instance-id': expect.not.stringMatching(before['volatile.cloud-init.instance-id']!),
    });
    expect(operation).toMatchObject({ description: 'Rebuilding instance', resources: { instances: ['/1.0/instances/c1'] } });
  });

  it('takes the image the instance was made from where none is named', async () => {
    volumes(member)[0]!.content = 'used';

    await rebuild({ type: 'image' });

    expect(volumes(member).map(({ content, imageFingerprint }) => [content, imageFingerprint])).toEqual([['', second]]);
  });

  it('can leave it empty', async () => {
    await rebuild({ type: 'none' });

    expect(volumes(member).map(({ imageFingerprint }) => imageFingerprint)).toEqual(['']);
    expect(Object.keys(config(member)).filter((key) => key.startsWith('image.') || key === 'volatile.base_image')).toEqual([]);
  });

  it.each([
    [{ type: 'copy' }, 'Unknown source type copy'], [{ type: 'image', fingerprint: 'ccc' }, 'Image not found'],
    [{ type: 'image' }, 'Must specify one of alias, fingerprint or properties for init from image'],
  ])('is refused from %j', async (source, message) => {
    await expect(rebuild(source)).rejects.toThrow(message);
  });

  it('is refused of one that runs or has snapshots', async () => {
    await member.get(InstancePower).start(member.ctx(), find(member));
    await expect(rebuild({ type: 'none' })).rejects.toThrow('Instance must be stopped to be rebuilt');
    await member.get(InstancePower).stop(member.ctx(), find(member), { force: true, timeoutMs: 0 });
    await settled(await member.get(SnapshotRequests).create(member.ctx(), find(member), { name: 's0' }));

    await expect(rebuild({ type: 'none' })).rejects.toThrow('Cannot rebuild an instance that has snapshots');
  });
});

describeOperation<RebuildInstanceParams>({
  definition: rebuildInstance,
  harness: async () => {
    const member = await world();
    const { row } = find(member);
    const seen = () => ({ volumes: volumes(member).map(({ name, content, imageFingerprint }) => ({ name, content, imageFingerprint })), os: find(member).row.config['image.os'] });
    return {
      steps: rebuildInstance.steps.map((type: StepClass<RebuildInstanceParams>) => member.get(type as unknown as abstract new () => Step<RebuildInstanceParams, unknown>)),
      transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(),
      params: { id: row.id, project: 'default', name: 'c1', type: 'container', pool: 'default', size: '', fingerprint: second, remote: null },
      assertDone: () => expect(seen()).toEqual({ volumes: [{ name: 'c1', content: '', imageFingerprint: second }], os: 'two' }),
      // The last step drops what was there, and what fails after it cannot bring that back.
      assertClean: () => {
        expect(seen().os).toBe('one');
        expect([[{ name: 'c1', content: 'used', imageFingerprint: first }], [{ name: 'c1', content: '', imageFingerprint: second }]]).toContainEqual(seen().volumes);
      },
    };
  },
});

describe('an instance asked to start with its creation', () => {
  let member: FakeMember;
  beforeAll(async () => {
    member = await FakeMember.start();
  });
  afterAll(() => member.close());

  it('runs when the operation is over', async () => {
    await member.create('c1', { start: true });
    await settled(await member.get(InstanceCreation).create(member.ctx(), { name: 'c2', start: true, source: { type: 'copy', source: 'c1' } }, null, null));

    expect(['c1', 'c2'].map((name) => member.host.instances.instances.get(name)?.power)).toEqual(['Running', 'Running']);
    expect(member.seen).toContain('instance-started /1.0/instances/c2');
  });
});

describeOperation<CreateInstanceParams>({
  definition: createAndStartInstance,
  harness: async () => {
    const member = await FakeMember.start();
    const { idmap } = await member.get(InstanceNeighbors).hostDescription();
    return {
      steps: createAndStartInstance.steps.map((type: StepClass<CreateInstanceParams>) => member.get(type as unknown as abstract new () => Step<CreateInstanceParams, unknown>)),
      transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(),
      params: { project: 'default', name: 'c1', type: 'container', pool: 'default', size: '', fingerprint: '', remote: null, start: true },
      reserve: (tx) => {
        member.get(InstanceRows).reserve(tx, 'default', {
          memberId: 1, projectId: 1, name: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false, description: '', profiles: [1], config: {}, devices: {},
        }, idmap);
      },
      assertDone: () => expect(member.host.instances.instances.get('c1')?.power).toBe('Running'),
      assertClean: () => expect([member.host.instances.instances.size, volumes(member), member.get(InstanceCatalog).all()]).toEqual([0, [], []]),
    };
  },
});
