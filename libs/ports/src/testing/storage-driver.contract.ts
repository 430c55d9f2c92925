import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#kernel';
import type { PoolSpec, StorageDriver, VolumeSpec } from '../storage.port.js';

export interface StorageDriverFixture {
  readonly driver: StorageDriver;
  /** A pool that does not exist yet. */
  readonly pool: PoolSpec;
  /** An image whose files the driver can find. */
  readonly imageFingerprint: string;
  /** A second driver on the same host, as after a crash of the first one's process. */
  restart(): Promise<StorageDriver>;
  /** Removes everything, also after a failed test. */
  close(): Promise<void>;
}

const mib = 2 ** 20;

/** What every storage driver owes its callers. `makeFixture` is called for each test. */
export function describeStorageDriver(title: string, makeFixture: () => Promise<StorageDriverFixture>): void {
  describe(`storage driver ${title}`, () => {
    let fixture: StorageDriverFixture;
    let driver: StorageDriver;
    let pool: PoolSpec;

    beforeEach(async () => {
      fixture = await makeFixture();
      driver = fixture.driver;
    });
    afterEach(() => fixture?.close());

    const container = (name: string): VolumeSpec => ({ pool, kind: 'container', name });
    const image = (): VolumeSpec => ({ pool, kind: 'image', name: fixture.imageFingerprint });
    const names = async (): Promise<string[]> => (await driver.listVolumes(pool)).map(({ kind, name }) => `${kind}/${name}`).sort();
    const make = (name: string, sizeBytes = 0): Promise<void> =>
      driver.createVolume({ volume: container(name), imageFingerprint: fixture.imageFingerprint, sizeBytes });
    const clones = async (): Promise<boolean> =>
      (await driver.capabilities()).find((one) => one.driver === fixture.pool.driver)?.optimizedImages === true;
    const kindOf = async (work: Promise<unknown>): Promise<string> =>
      work.then(() => 'no error', (error: unknown) => (error instanceof AppError ? error.kind : String(error)));

    describe('what lies in a pool', () => {
      it('is listed as a whole or by its kind', async () => {
        pool = await driver.createPool(fixture.pool);
        await make('c1');
        await driver.createVolume({ volume: { pool, kind: 'custom', name: 'v1' }, imageFingerprint: '', sizeBytes: 0 });
        const listed = async (kind?: VolumeSpec['kind']): Promise<string[]> => (await driver.listVolumes(pool, kind)).map(({ name }) => name).sort();

        expect([await listed('container'), await listed('custom'), await listed('image')]).toEqual([['c1'], ['v1'], (await clones()) ? [fixture.imageFingerprint] : []]);
        expect(await listed()).toEqual([...(await listed('image')), 'c1', 'v1'].sort());
      });
    });

    describe('pools', () => {
      it('names its driver among the capabilities', async () => {
        expect((await driver.capabilities()).map((one) => one.driver)).toContain(fixture.pool.driver);
      });

      it('creates a pool with a source, twice to the same effect, and destroys it, twice', async () => {
        pool = await driver.createPool(fixture.pool);
        const again = await driver.createPool(fixture.pool);

        expect(pool.config['source']).toMatch(/^\//);
        expect(again).toEqual(pool);
        await driver.destroyPool(pool);
        await driver.destroyPool(pool);
        expect((await driver.createPool(fixture.pool)).config).toEqual(pool.config);
      });

      it('refuses a source that does not exist, and undoing that harms nothing', async () => {
        const bad = { ...fixture.pool, config: { ...fixture.pool.config, source: '/nonexistent/roost' } };

        expect(await kindOf(driver.createPool(bad))).toBe('invalid');
        await driver.destroyPool(bad);
      });

      it('tells how full it is', async () => {
        pool = await driver.createPool(fixture.pool);

        const { totalBytes, usedBytes } = await driver.describePool(pool);

        expect(totalBytes).toBeGreaterThan(0);
        expect(usedBytes).toBeGreaterThanOrEqual(0);
        expect(usedBytes).toBeLessThanOrEqual(totalBytes);
      });

      it('keeps its volumes over unmounting, and over a new process', async () => {
        pool = await driver.createPool(fixture.pool);
        await make('c1');

        await driver.unmountPool(pool);
        driver = await fixture.restart();
        await driver.ensurePoolMounted(pool);
        await driver.ensurePoolMounted(pool);

        expect(await names()).toContain('container/c1');
      });
    });

    describe('volumes', () => {
      beforeEach(async () => {
        pool = await driver.createPool(fixture.pool);
      });

      it('starts without volumes', async () => {
        expect(await names()).toEqual([]);
      });

      it('makes volumes from an image, unpacked once if it can clone', async () => {
        await Promise.all([make('c1'), make('c2')]);

        expect(await names()).toEqual(['container/c1', 'container/c2', ...((await clones()) ? [`image/${fixture.imageFingerprint}`] : [])]);
      });

      it('makes an empty volume', async () => {
        await driver.createVolume({ volume: container('e1'), imageFingerprint: '', sizeBytes: 0 });

        expect(await names()).toEqual(['container/e1']);
      });

      it('may be asked for the same volume again', async () => {
        await make('c1');
        await make('c1');

        expect(await names()).toContain('container/c1');
      });

      it('leaves nothing of a volume whose image is unknown', async () => {
        const request = { volume: container('c1'), imageFingerprint: 'f'.repeat(64), sizeBytes: 0 };

        expect(await kindOf(driver.createVolume(request))).toBe('not-found');
        expect(await names()).toEqual([]);
      });

      it('destroys a volume, and an absent one', async () => {
        await make('c1');

        await driver.destroyVolume(container('c1'));
        await driver.destroyVolume(container('c1'));

        expect((await names()).filter((name) => name.startsWith('container/'))).toEqual([]);
      });

      it('keeps instances when their image is removed from the pool, and unpacks it again when asked', async () => {
        await make('c1');

        await driver.destroyVolume(image());
        await make('c2');

        expect((await names()).filter((name) => name.startsWith('container/'))).toEqual(['container/c1', 'container/c2']);
      });

      it('renames, and accepts being asked again', async () => {
        await make('c1');

        await driver.renameVolume(container('c1'), 'c2');
        await driver.renameVolume(container('c1'), 'c2');

        expect((await names()).filter((name) => name.startsWith('container/'))).toEqual(['container/c2']);
      });

      it('refuses to rename to a name that is taken, or what is not there', async () => {
        await make('c1');
        await make('c2');

        expect(await kindOf(driver.renameVolume(container('c1'), 'c2'))).toBe('conflict');
        expect(await kindOf(driver.renameVolume(container('c8'), 'c9'))).toBe('not-found');
      });

      it('reports the quota it enforces, raised, lowered and lifted', async () => {
        const { quota } = (await driver.capabilities()).find((one) => one.driver === pool.driver) ?? { quota: false };
        await make('c1', 20 * mib);
        const total = async (): Promise<number> => (await driver.describeVolume(container('c1'))).totalBytes;

        expect(await total()).toBe(quota ? 20 * mib : 0);
        await driver.resizeVolume(container('c1'), 40 * mib);
        expect(await total()).toBe(quota ? 40 * mib : 0);
        await driver.resizeVolume(container('c1'), 0);
        expect(await total()).toBe(0);
      });

      it('makes custom volumes beside those of instances, gives them other names and takes them away', async () => {
        const custom = (name: string): VolumeSpec => ({ pool, kind: 'custom', name });
        await driver.createVolume({ volume: custom('default_..'), imageFingerprint: '', sizeBytes: 20 * mib });
        await driver.createVolume({ volume: custom('default_..'), imageFingerprint: '', sizeBytes: 20 * mib });
        expect(await names()).toEqual(['custom/default_..']);

        await driver.renameVolume(custom('default_..'), 'default_a b');
        await driver.resizeVolume(custom('default_a b'), 40 * mib);
        expect(await names()).toEqual(['custom/default_a b']);
        await driver.destroyVolume(custom('default_a b'));
        expect(await names()).toEqual([]);
      });

      it('makes a disk that grows and does not shrink', async () => {
        const disk: VolumeSpec = { pool, kind: 'custom', name: 'default_disk', block: true };
        await driver.createVolume({ volume: disk, imageFingerprint: '', sizeBytes: 20 * mib });

        await driver.resizeVolume(disk, 40 * mib);
        await driver.resizeVolume(disk, 40 * mib);

        expect(await kindOf(driver.resizeVolume(disk, 20 * mib))).toBe('invalid');
        await driver.destroyVolume(disk);
        expect(await names()).toEqual([]);
      });

      it('knows nothing of a volume that is not there', async () => {
        expect(await kindOf(driver.describeVolume(container('nope')))).toBe('not-found');
      });
    });
  });
}
