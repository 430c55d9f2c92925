import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { internalContext, LocalMember } from '#kernel';
import { Database, openTemporaryDatabase, TransactionRunner } from '#platform/database';
import { MemoryLog } from '#platform/database/testing';
import { JoinParticipants } from '#features/cluster';
import { FakePeerNetwork } from '#ports/testing';
import { ImageReplicas } from './image-replicas.service.js';
import { ImagesService } from './images.service.js';
import { ImageWorld } from './testing/image-world.js';
import { metadataTarball, multipartBody, sha256, squashfsFile, unifiedImage } from './testing/sample-images.js';

const ctx = internalContext();
const file = unifiedImage();
const fingerprint = sha256(file);

let network: FakePeerNetwork;
let worlds: ImageWorld[];
const world = (id: number): ImageWorld => worlds[id - 1]!;
const barrier = async (): Promise<void> => { for (const one of worlds) await one.get(Database).barrier(ctx); };
/** Everybody sees all rows and does what they ask for. */
const settle = async (): Promise<void> => {
  for (const one of worlds) {
    await barrier();
    await one.get(ImageReplicas).settle(ctx);
  }
  await barrier();
};
const having = (what = fingerprint): number[] => worlds.flatMap((one, index) => (one.store.fingerprints.has(what) ? [index + 1] : []));
const holders = (): number[] => world(1).get(Database).read.all<{ id: number }>('SELECT DISTINCT node_id AS id FROM images_nodes ORDER BY 1').map(({ id }) => id);

const replicas = async (count: number): Promise<void> => {
  await world(2).client.patch('/1.0', { config: { 'cluster.images_minimal_replica': String(count) } });
  await barrier();
};

beforeEach(async () => {
  const seed = await openTemporaryDatabase();
  const log = new MemoryLog(seed.database.head.incarnation);
  log.entries.push(...(await seed.database.entries(1)));
  await seed.close();
  network = new FakePeerNetwork();
  worlds = [];
  for (const id of [1, 2, 3, 4]) {
    const member = Object.assign(new LocalMember(), { id, name: `m${id}`, clustered: true });
    worlds.push(await new ImageWorld({ member, log, peers: network.add({ id, name: `m${id}`, address: `127.0.0.${id}:8443` }) }).start());
  }
  await world(1).get(TransactionRunner).run(ctx, (tx) => {
    tx.sql.run("UPDATE nodes SET name = 'm1' WHERE id = 1");
    for (const id of [2, 3, 4]) tx.sql.run("INSERT INTO nodes (id, name, address, architecture) VALUES (?, ?, ?, '')", id, `m${id}`, `127.0.0.${id}:8443`);
  });
  await barrier();
});
afterEach(async () => { for (const one of worlds) await one.end(); });

describe('copies of an image', () => {
  it('come to as many members as are asked for, and go with it', async () => {
    await world(2).upload(file);
    expect(having()).toEqual([2]);
    await settle();
    expect([having(), holders()]).toEqual([[2, 3, 4], [2, 3, 4]]);
    await replicas(-1);
    await settle();
    expect([having(), holders()]).toEqual([[1, 2, 3, 4], [1, 2, 3, 4]]);

    await world(4).started('DELETE', `/1.0/images/${fingerprint}`);
    await settle();
    expect([having(), holders()]).toEqual([[], []]);
  });

  it('are asked for by the rows alone', async () => {
    await world(2).upload(file);
    await barrier();

    await vi.waitFor(() => expect(having()).toEqual([2, 3, 4]));
  });

  it('come from a member that answers, to members that are there', async () => {
    await replicas(1);
    await world(1).upload(file);
    await barrier();
    await world(2).get(ImagesService).ensureLocalFiles(ctx, fingerprint);
    network.down.add(1).add(3);
    await replicas(3);
    await world(4).get(ImageReplicas).settle(ctx);
    expect(having()).toEqual([1, 2, 4]);
  });

  it('are not kept when they are not what they are called', async () => {
    await replicas(1);
    await world(1).upload(file);
    await barrier();
    await writeFile(`${world(1).state.images}/${fingerprint}`, 'something else');

    await expect(world(2).get(ImagesService).ensureLocalFiles(ctx, fingerprint)).rejects.toThrow(`No member holds the files of image "${fingerprint}"`);
    expect([having(), world(2).uploads()]).toEqual([[1], []]);
  });
});

describe('an image of another member', () => {
  beforeEach(() => replicas(1));

  it('is fetched when it is used or exported, in both forms', async () => {
    const parts = [metadataTarball(), squashfsFile()];
    const split = sha256(...parts);
    const { body, contentType } = multipartBody([{ name: 'metadata', content: parts[0]! }, { name: 'rootfs', content: parts[1]! }]);
    await world(1).upload(file);
    await world(1).upload(body, { 'content-type': contentType });
    await barrier();
    await world(2).get(ImagesService).ensureLocalFiles(ctx, split);
    expect(having(split)).toEqual([1, 2]);

    const answer = await world(3).client.download(`/1.0/images/${fingerprint}/export`);
    expect(Buffer.concat((await answer.toArray()) as Buffer[]).equals(file)).toBe(true);
    expect(having()).toEqual([1, 3]);
  });

  it('serves another project without being sent again', async () => {
    await world(1).upload(file);
    await barrier();
    await world(2).project('web', { 'features.images': 'true', 'features.profiles': 'true' });
    await barrier();
    await world(2).upload(file, {}, 'web');
    await barrier();
    expect(holders()).toEqual([1, 2]);
    await world(1).started('DELETE', `/1.0/images/${fingerprint}`);
    await settle();
    expect(having()).toContain(1);
  });

  it('is there no more when it was deleted meanwhile', async () => {
    await expect(world(2).get(ImagesService).ensureLocalFiles(ctx, fingerprint)).rejects.toThrow('Image not found');
  });
});

describe('work one member does for all', () => {
  it('is that of the first one that is there', () => {
    const responsible = (): boolean[] => worlds.map((one) => one.get(ImageReplicas).isResponsible());
    expect(responsible()).toEqual([true, false, false, false]);
    network.down.add(1);
    expect(responsible()).toEqual([true, true, false, false]);
  });
});

describe('joining and leaving', () => {
  it('clear what a server has', async () => {
    await world(1).upload(file);
    await world(1).get(JoinParticipants).clear(ctx);
    expect([having(), world(1).rows()]).toEqual([[], []]);

    await world(1).upload(file);
    await settle();
    await world(2).get(JoinParticipants).leave(ctx);
    expect(having()).toEqual([1, 3]);
    expect(world(1).rows()).toHaveLength(1);
  });
});
