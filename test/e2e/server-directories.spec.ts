import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Mutex, SilentLogger, StateDirectory } from '#kernel';
import { CommandRunner } from '#host';
import type { PoolSpec, VolumeSpec } from '#ports';
import { LocalServerDirectories } from '#drivers/server-directories';
import { DirStorageDriver } from '#drivers/storage-dir';
import { movableDirectories } from '../../apps/agent/src/state-preparation.js';
import { RoutingStorageDriver } from '../../apps/agent/src/routing-storage.driver.js';

let root: string;
let state: StateDirectory;
let storage: RoutingStorageDriver;
let pool: PoolSpec;
let directories: LocalServerDirectories;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'roost-directories-'));
  state = new StateDirectory(root);
  mkdirSync(state.backups, { mode: 0o700 });
  const command = new CommandRunner();
  storage = new RoutingStorageDriver(new Map([['dir', new DirStorageDriver({ state, command, logger: new SilentLogger() })]]));
  pool = await storage.createPool({ name: 'p', driver: 'dir', config: {} });
  for (const name of ['default_v1', 'default_v2']) await storage.createVolume({ volume: volume(name), imageFingerprint: '', sizeBytes: 0 });
  directories = new LocalServerDirectories({ state, command, storage, imagesLock: new Mutex(), empty: movableDirectories({ uid: 0, gid: 0 }) });
  mkdirSync(`${state.backups}/instances`, { mode: 0o700 });
  writeFileSync(`${state.backups}/instances/1`, 'one', { mode: 0o640 });
});
afterEach(async () => {
  await storage.destroyPool(pool);
  rmSync(root, { recursive: true, force: true });
});

const volume = (name: string): VolumeSpec => ({ pool, kind: 'custom', name });
const place = (name: string): string => join(state.pool('p'), 'custom', name);
const held = (path: string): string[] => readdirSync(path, { recursive: true }).map(String).sort();
const whole = ['instances', 'instances/1'];

/** All of it is where it belongs, whatever it was called on the way. */
function expectIn(name: string | null): void {
  expect(held(state.backups)).toEqual(whole);
  expect([readFileSync(`${state.backups}/instances/1`, 'utf8'), statSync(`${state.backups}/instances/1`).mode & 0o777, statSync(state.backups).mode & 0o777]).toEqual(['one', 0o640, 0o700]);
  expect(lstatSync(state.backups).isSymbolicLink() ? readlinkSync(state.backups) : null).toBe(name === null ? null : place(name));
  for (const other of ['default_v1', 'default_v2']) if (other !== name) expect(held(place(other))).toEqual([]);
  expect(existsSync(`${state.backups}.next`)).toBe(false);
}

describe('a directory of the server', () => {
  it('moves into a volume, to another, and back', async () => {
    for (const name of ['default_v1', 'default_v1', 'default_v2', null, null]) {
      await directories.placeDirectory('backups', name === null ? null : volume(name));
      expectIn(name);
    }
  });

  it('needs an empty volume that is there', async () => {
    mkdirSync(`${place('default_v1')}/lost+found`);
    expect(await directories.isEmptyVolume(volume('default_v1'))).toBe(true);
    writeFileSync(`${place('default_v2')}/file`, '');
    expect(await directories.isEmptyVolume(volume('default_v2'))).toBe(false);

    await expect(directories.placeDirectory('backups', volume('default_v2'))).rejects.toMatchObject({ kind: 'conflict' });
    await expect(directories.placeDirectory('backups', volume('default_v3'))).rejects.toMatchObject({ kind: 'not-found' });
    expect([held(state.backups), held(place('default_v2'))]).toEqual([whole, ['file']]);
  });

  it('is settled by the next call when it died before its new place was in use', async () => {
    symlinkSync(place('default_v1'), `${state.backups}.next`);
    mkdirSync(`${place('default_v1')}/instances`);
    await directories.placeDirectory('backups', null);
    expectIn(null);

    mkdirSync(`${state.backups}.next/instances`, { recursive: true });
    await directories.placeDirectory('backups', volume('default_v1'));
    expectIn('default_v1');
  });

  it('is settled by the next call when it died before its former place was cleared, forwards and back', async () => {
    await directories.placeDirectory('backups', volume('default_v1'));
    mkdirSync(`${state.backups}.next/instances`, { recursive: true });
    await directories.placeDirectory('backups', volume('default_v1'));
    expectIn('default_v1');

    await directories.placeDirectory('backups', volume('default_v2'));
    symlinkSync(place('default_v1'), `${state.backups}.next`);
    writeFileSync(`${place('default_v1')}/left`, '');
    await directories.placeDirectory('backups', null);
    expectIn(null);
  });

  it.each([null, 'default_v2'])('begins anew in %s when its volume is gone', async (name) => {
    await directories.placeDirectory('backups', volume('default_v1'));
    await storage.destroyVolume(volume('default_v1'));

    await directories.placeDirectory('backups', name === null ? null : volume(name));

    expect([held(state.backups), statSync(state.backups).mode & 0o777, lstatSync(state.backups).isSymbolicLink()]).toEqual([[], 0o700, name !== null]);
    expect(existsSync(`${state.backups}.next`)).toBe(false);
  });

  it('never empties the volume that is in use', async () => {
    await directories.placeDirectory('backups', volume('default_v1'));
    symlinkSync(place('default_v1'), `${state.backups}.next`);
    await directories.placeDirectory('backups', volume('default_v1'));
    expectIn('default_v1');
  });
});
