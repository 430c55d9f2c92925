import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { VolumesService } from '#features/storage';
import { ImageCleanupReconciler } from './reconcile/image-cleanup.reconciler.js';
import { ImageWorld } from './testing/image-world.js';
import { sha256, unifiedImage } from './testing/sample-images.js';

let world: ImageWorld;
beforeEach(async () => { world = await new ImageWorld().start(); });
afterEach(() => world.end());

const file = unifiedImage();
const fingerprint = sha256(file);
const settle = (): Promise<void> => world.get(ImageCleanupReconciler).run(new AbortController().signal);

/** A promise that never settles: the process is "dead" from here on. */
const dead = (): Promise<void> => new Promise(() => undefined);

describe('rows and files', () => {
  it('have no row when the files could not be taken over', async () => {
    world.faults.fail('images.adoptImage');

    expect(await world.upload(file)).toMatchObject({ status: 'Failure', err: 'Injected failure of images.adoptImage' });

    expect(world.rows()).toEqual([]);
    expect(world.uploads()).toEqual([]);
    expect(await world.upload(file)).toMatchObject({ status: 'Success' });
  });

  it('lose the files again when the row is refused', async () => {
    expect(await world.upload(file, { 'X-LXD-profiles': 'profile=nope' })).toMatchObject({ status: 'Failure' });

    expect(world.store.fingerprints.size).toBe(0);
  });

  it('agree after a crash between taking over files and writing the row', async () => {
    await world.store.adoptImage(fingerprint, 'x', '');

    await settle();

    expect(world.store.fingerprints.size).toBe(0);
  });

  it('agree after a crash in the middle of a deletion', async () => {
    await world.pool('p1');
    await world.upload(file);
    await world.get(VolumesService).ensureImageVolume(internalContext(), 'p1', fingerprint);
    const reached = Promise.withResolvers<void>();
    world.faults.before('storage.destroyVolume', () => { reached.resolve(); return dead(); });
    await world.client.call('DELETE', `/1.0/images/${fingerprint}`);
    await reached.promise;
    expect(world.rows()).toEqual([]);
    expect(world.store.fingerprints.has(fingerprint)).toBe(true);

    world.faults.clear();
    await world.restart();
    await settle();

    expect(world.store.fingerprints.has(fingerprint)).toBe(false);
    expect(world.get(VolumesService).poolsWithImage(fingerprint)).toEqual([]);
    expect([...world.host.pools.get('p1')!.volumes.keys()]).toEqual([]);
  });

  it('keep files and unpacked copies as long as one project has the image', async () => {
    await world.pool('p1');
    await world.project('own', {});
    await world.upload(file);
    await world.upload(file, {}, 'own');
    await world.get(VolumesService).ensureImageVolume(internalContext(), 'p1', fingerprint);

    await world.started('DELETE', `/1.0/images/${fingerprint}`);
    expect(world.get(VolumesService).poolsWithImage(fingerprint)).toEqual(['p1']);
    await world.started('DELETE', `/1.0/images/${fingerprint}?project=own`);

    expect(world.get(VolumesService).poolsWithImage(fingerprint)).toEqual([]);
    expect(world.store.fingerprints.size).toBe(0);
  });

  it('survive uploads of one image into several projects at once', async () => {
    await world.project('own', {});

    const ended = await Promise.all([world.upload(file), world.upload(file, {}, 'own'), world.upload(file)]);

    expect(ended.map((operation) => operation.status).sort()).toEqual(['Failure', 'Success', 'Success']);
    expect(world.rows()).toEqual([`default/${fingerprint}`, `own/${fingerprint}`]);
    expect(world.store.fingerprints.has(fingerprint)).toBe(true);
  });
});
