import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { imagesPost, type ImagesPost } from '#api-types';
import { OperationsService } from '#platform/operations';
import { ImagePublishers, ImagesService } from '#features/images';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { type FakeMember, settled } from '../testing/fake-member.js';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await FakeCluster.start(2);
  const member = cluster.member(1);
  await member.create('c1');
  const volume = { pool: { name: 'default', driver: 'btrfs', config: {} }, kind: 'container', name: 'c1' } as const;
  member.host.storage.volume(volume).content = 'first';
  await member.host.archives.writeVolumeFile(volume, 'metadata.yaml', 'architecture: x86_64\ncreation_date: 1700000000\n');
  await settled(await member.get(SnapshotRequests).create(member.ctx(), member.get(InstanceCatalog).get('default', 'c1'), { name: 's0' }));
  await cluster.sync();
});
afterAll(() => cluster.close());
beforeEach(() => cluster.sync());

async function publish(member: FakeMember, name: string, body: Record<string, unknown> = {}): Promise<{ fingerprint: string; size: string }> {
  const request: ImagesPost = imagesPost.parse({ source: { type: name.includes('/') ? 'snapshot' : 'instance', name }, compression_algorithm: 'none', ...body });
  const { id } = await member.get(ImagePublishers).publish(member.ctx(), request, request.source!);
  for (const one of [cluster.member(1), cluster.member(2)]) {
    try {
      const operation = one.get(OperationsService).get(id);
      await operation.done;
      if (operation.status !== 'Success') throw new TypeError(operation.api().err);
      return operation.metadata as { fingerprint: string; size: string };
    } catch (error) {
      if (error instanceof TypeError) throw error;
    }
  }
  throw new Error('Nobody has the operation');
}

/** The other member fetches copies of its own. */
const staged = (): string[] => readdirSync(cluster.member(1).host.state.uploads);

describe('publishing an instance', () => {
  it.each([1, 2])('makes an image of it, asked through member %i', async (id) => {
    const { fingerprint, size } = await publish(cluster.member(id), 'c1', { properties: { by: String(id) }, aliases: [{ name: `by-${id}`, description: 'd' }] });

    const member = cluster.member(1);
    const image = member.get(ImagesService).resolve(member.ctx(), 'default', { alias: `by-${id}` });
    expect(image).toMatchObject({ fingerprint, properties: { by: String(id) }, architecture: 'x86_64', autoUpdate: false, expiresAt: '0001-01-01T00:00:00Z' });
    const file = readFileSync(`${member.host.state.images}/${fingerprint}`);
    expect([createHash('sha256').update(file).digest('hex'), String(file.length)]).toEqual([fingerprint, size]);
    expect(file.toString()).toContain('first');
    expect(staged()).toEqual([]);
  });

  it('makes one of a snapshot', async () => {
    const { fingerprint } = await publish(cluster.member(1), 'c1/s0', { properties: { of: 'snapshot' }, public: true, expires_at: '2035-01-01T00:00:00Z' });

    const member = cluster.member(1);
    expect(member.get(ImagesService).resolve(member.ctx(), 'default', { fingerprint })).toMatchObject({ public: true, expiresAt: '2035-01-01T00:00:00Z' });
  });

  it.each([
    ['nope', {}, 'Instance not found'], ['c1/nope', {}, 'Instance not found'], ['', {}, 'No source provided'],
    ['c1', { source: { type: 'snapshot', name: 'c1' } }, 'Not a snapshot'], ['c1', { source: { type: 'instance', name: 'c1/s0' } }, 'This is a snapshot'],
    ['c1', { compression_algorithm: 'foo -3' }, 'Invalid compression algorithm "foo"'],
    ['c1', { compression_algorithm: 'gzip /etc/shadow' }, 'Invalid compression algorithm "gzip /etc/shadow": the option "/etc/shadow" is not allowed'],
    ['c1', { aliases: [{ name: 'by-1' }], properties: { a: 'b' } }, 'Alias already exists: by-1'], ['c1', { properties: { by: '1' } }, /^The image already exists: [0-9a-f]{64}$/],
  ] as const)('of %j with %j is refused', async (name, body, message) => {
    await expect(publish(cluster.member(1), name, body)).rejects.toThrow(message);
    expect(staged()).toEqual([]);
  });

  it('leaves nothing when the host fails in the middle', async () => {
    const member = cluster.member(1);
    const before = member.get(ImagesService).list(member.ctx(), 'default', undefined).length;
    for (const point of ['archives.packImage', 'transfer.waitTransfer', 'images.adoptImage', 'archives.readVolumeFile']) {
      member.host.faults.fail(point);
      await expect(publish(member, 'c1', { properties: { at: point } })).rejects.toThrow(point);
    }
    expect(staged()).toEqual([]);
    expect(member.get(ImagesService).list(member.ctx(), 'default', undefined)).toHaveLength(before);
    expect(readdirSync(member.host.state.images)).toHaveLength(before);
  });

  it('that runs is refused', async () => {
    const member = cluster.member(1);
    await member.get(InstancePower).start(member.ctx(), member.get(InstanceCatalog).get('default', 'c1'));
    await expect(publish(member, 'c1', { properties: { a: 'running' } })).rejects.toThrow('Cannot export a running instance as an image');
    await member.get(InstancePower).stop(member.ctx(), member.get(InstanceCatalog).get('default', 'c1'), { force: true, timeoutMs: 0 });
  });
});
