import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import type { MigrationPiece, VolumeSpec } from '#ports';
import { CommandRunner, findRoostHelper } from '#host';
import { DirStorageDriver } from '#drivers/storage-dir';
import { LocalVolumeMigration } from '#drivers/volume-migration';
import { needsRoot } from '../support/needs.js';
import { carry } from '../support/pipes.js';

const own = { endpointUid: 0, endpointGid: 0 };
const piece: Omit<MigrationPiece, 'snapshot'> = { format: 'rsync', xattrs: true, delete: true, compress: true, bandwidth: '', inconsistent: false };
const live = new AbortController().signal;

describe.skipIf(needsRoot !== '')('pieces of volumes on a real host', () => {
  let root: string;
  let migration: LocalVolumeMigration;
  let storage: DirStorageDriver;
  const volume = (name: string): VolumeSpec => ({ pool: { name: 'p1', driver: 'dir', config: {} }, kind: 'container', name });
  const path = (name: string): string => `${root}/storage-pools/p1/containers/${name}`;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'roost-pieces-'));
    chmodSync(root, 0o711);
    const state = new StateDirectory(root);
    mkdirSync(state.run, { recursive: true });
    const options = { state, command: new CommandRunner(), logger: new SilentLogger() };
    storage = new DirStorageDriver(options);
    await storage.createPool(volume('a').pool);
    await storage.createVolume({ volume: volume('a'), imageFingerprint: '', sizeBytes: 0 });
    writeFileSync(`${path('a')}/rootfs/file`, 'first');
    migration = new LocalVolumeMigration({ ...options, directory: `${state.run}/migration`, drivers: new Map([['dir', storage.streams]]) });
  });
  afterEach(async () => {
    await migration.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** One piece from one session to the other, as a daemon and a network would carry it. */
  async function carryPiece(from: string, to: string, snapshot: string, agreed: Partial<MigrationPiece> = {}): Promise<void> {
    const [a, b] = [await migration.openPiece(from, { ...piece, ...agreed, snapshot }), await migration.openPiece(to, { ...piece, ...agreed, snapshot })];
    const copies = await Promise.all([carry(a.output, b.input), carry(b.output, a.input)]);
    await Promise.all([migration.waitPiece(from), migration.waitPiece(to), ...copies.map(({ done }) => done)]);
  }

  it('arrive with their snapshots, and whole or not at all', async () => {
    await storage.snapshots.createSnapshot(volume('a'), 's0');
    writeFileSync(`${path('a')}/rootfs/file`, 'second, longer');
    const from = await migration.sendPieces({ volume: volume('a'), snapshots: ['s0'], sourceSnapshot: '', ...own });
    const to = await migration.receivePieces({ volume: volume('b'), snapshots: ['s0'], sizeBytes: 0, refreshToken: '', ...own });
    const ends = [migration.waitPieces(from, live), migration.waitPieces(to, live)];

    for (const snapshot of ['s0', '']) await carryPiece(from, to, snapshot);
    expect(existsSync(path('b'))).toBe(false);
    await Promise.all([migration.endPieces(from), migration.endPieces(to), ...ends]);

    expect(readFileSync(`${path('b')}/rootfs/file`, 'utf8')).toBe('second, longer');
    expect(readFileSync(`${root}/storage-pools/p1/containers-snapshots/b/s0/rootfs/file`, 'utf8')).toBe('first');
    expect(readdirSync(`${root}/storage-pools/p1/containers`)).toEqual(['a', 'b']);
  });

  it.each([true, false])('have nothing of the piece before, whether both sides delete (%s) or not', async (deletes) => {
    writeFileSync(`${path('a')}/rootfs/gone`, 'x');
    await storage.snapshots.createSnapshot(volume('a'), 's0');
    rmSync(`${path('a')}/rootfs/gone`);
    await storage.createVolume({ volume: volume('b'), imageFingerprint: '', sizeBytes: 0 });
    writeFileSync(`${path('b')}/rootfs/stale`, 'x');
    const from = await migration.sendPieces({ volume: volume('a'), snapshots: ['s0'], sourceSnapshot: '', ...own });
    const to = await migration.receivePieces({ volume: volume('b'), snapshots: ['s0'], sizeBytes: 0, refreshToken: 'abc', ...own });
    const ends = [migration.waitPieces(from, live), migration.waitPieces(to, live)];

    for (const snapshot of ['s0', '']) await carryPiece(from, to, snapshot, { delete: deletes });
    await Promise.all([migration.endPieces(from), migration.endPieces(to), ...ends]);

    expect(readdirSync(`${root}/storage-pools/p1/containers-snapshots/b/s0/rootfs`).sort()).toEqual(['file', 'gone']);
    expect(readdirSync(`${path('b')}/rootfs`)).toEqual(['file']);
  });

  it('have the container\'s own ids in their files, whatever they were shifted to', async () => {
    const shifted = (snapshot: string, base: number) => ({ snapshot, idmap: [{ isUid: true, isGid: true, hostId: base, nsId: 0, range: 65536 }] });
    chownSync(`${path('a')}/rootfs/file`, 100_007, 100_008);
    await storage.snapshots.createSnapshot(volume('a'), 's0');
    chownSync(`${path('a')}/rootfs/file`, 200_007, 200_008);
    const from = await migration.sendPieces({ volume: volume('a'), snapshots: ['s0'], sourceSnapshot: '', ...own });
    const to = await migration.receivePieces({ volume: volume('b'), snapshots: ['s0'], sizeBytes: 0, refreshToken: '', shifted: [shifted('s0', 100_000), shifted('', 200_000)], ...own });
    const ends = [migration.waitPieces(from, live), migration.waitPieces(to, live)];

    for (const snapshot of ['s0', '']) await carryPiece(from, to, snapshot);
    await Promise.all([migration.endPieces(from), migration.endPieces(to), ...ends]);

    for (const file of [`${path('b')}/rootfs/file`, `${root}/storage-pools/p1/containers-snapshots/b/s0/rootfs/file`]) expect([statSync(file).uid, statSync(file).gid]).toEqual([7, 8]);
  });

  it('leave nothing when the session is given up', async () => {
    const abort = new AbortController();
    const to = await migration.receivePieces({ volume: volume('b'), snapshots: [], sizeBytes: 0, refreshToken: '', ...own });
    const given = expect(migration.waitPieces(to, abort.signal)).rejects.toThrow('The transfer was given up');
    await migration.openPiece(to, { ...piece, snapshot: '' });

    abort.abort();

    await given;
    expect(readdirSync(`${root}/storage-pools/p1/containers`)).toEqual(['a']);
  });

  it('are refused when they are no container, and links in them lead nowhere', async () => {
    mkdirSync(`${root}/outside`);
    rmSync(`${path('a')}/rootfs`, { recursive: true });
    symlinkSync(`${root}/outside`, `${path('a')}/rootfs`);
    const from = await migration.sendPieces({ volume: volume('a'), snapshots: [], sourceSnapshot: '', ...own });
    const to = await migration.receivePieces({ volume: volume('b'), snapshots: [], sizeBytes: 0, refreshToken: '', ...own });
    const ends = Promise.allSettled([migration.waitPieces(from, live), migration.waitPieces(to, live)]);

    await carryPiece(from, to, '');
    await Promise.all([migration.endPieces(from), migration.endPieces(to)]);

    expect(((await ends)[1] as PromiseRejectedResult).reason).toMatchObject({ message: 'What came has no directory "rootfs"' });
    expect([readdirSync(`${root}/outside`), existsSync(path('b')), readlinkSync(`${path('a')}/rootfs`)]).toEqual([[], false, `${root}/outside`]);
  });

  it('are disks as they are, empty where they were empty, and at least as large as asked for', async () => {
    const disk = (name: string): VolumeSpec => ({ pool: volume('a').pool, kind: 'custom', name, block: true });
    const file = (name: string): string => `${root}/storage-pools/p1/custom/${name}/root.img`;
    await storage.createVolume({ volume: disk('d1'), imageFingerprint: '', sizeBytes: 4 * 2 ** 20 });
    const handle = await open(file('d1'), 'r+');
    await handle.write('in the middle', 3 * 2 ** 20);
    await handle.close();
    const from = await migration.sendPieces({ volume: disk('d1'), snapshots: [], sourceSnapshot: '', ...own });
    const to = await migration.receivePieces({ volume: disk('d2'), snapshots: [], sizeBytes: 5 * 2 ** 20, refreshToken: '', ...own });
    const ends = [migration.waitPieces(from, live), migration.waitPieces(to, live)];

    expect(await migration.migrationFormats(disk('d1'))).toEqual(['block']);
    await carryPiece(from, to, '', { format: 'block' });
    await Promise.all([migration.endPieces(from), migration.endPieces(to), ...ends]);

    const [before, after] = [readFileSync(file('d1')), readFileSync(file('d2'))];
    expect([after.length, after.subarray(0, before.length).equals(before), after.subarray(before.length).every((byte) => byte === 0)]).toEqual([5 * 2 ** 20, true, true]);
    expect(statSync(file('d2')).blocks * 512).toBeLessThan(2 ** 20);
  });

  it('are refused when nothing of a disk came', async () => {
    const disk: VolumeSpec = { pool: volume('a').pool, kind: 'custom', name: 'd2', block: true };
    const to = await migration.receivePieces({ volume: disk, snapshots: [], sizeBytes: 0, refreshToken: '', ...own });
    const given = expect(migration.waitPieces(to, live)).rejects.toThrow('What came holds no disk');
    const { input } = await migration.openPiece(to, { ...piece, snapshot: '', format: 'block' });
    const writer = await open(input, 'w');

    await Promise.all([migration.waitPiece(to), writer.close()]);
    await migration.endPieces(to);

    await given;
    expect(readdirSync(`${root}/storage-pools/p1/custom`)).toEqual([]);
  });

  it('are read and written by programs that see nothing else', () => {
    writeFileSync(`${root}/secret`, 'x');
    const script = 'ls /; cat /etc/passwd; touch /volume/made /usr/made; ls /volume/../../..; cat /proc/self/status';

    const { stdout } = run(['confined', 'rw', `${path('a')}/rootfs`, 'sh', '-c', `${script} 2>/dev/null; true`]);

    expect(stdout.split('\n').filter((name) => !/^(bin|sbin|lib\w*|usr|dev|tmp|helper|volume|)$/.test(name))).toEqual([]);
    expect([existsSync(`${path('a')}/rootfs/made`), existsSync('/usr/made')]).toEqual([true, false]);
    run(['confined', 'ro', `${path('a')}/rootfs`, 'sh', '-c', 'touch /volume/more 2>/dev/null; true']);
    expect(existsSync(`${path('a')}/rootfs/more`)).toBe(false);
    symlinkSync('file', `${path('a')}/rootfs/link`);
    expect(run(['confined', 'nolinks', `${path('a')}/rootfs`, 'sh', '-c', 'touch /volume/more; cat /volume/link 2>/dev/null; cat /volume/file']).stdout).toBe('first');
    expect(existsSync(`${path('a')}/rootfs/more`)).toBe(true);
  });

  it('between servers of ours are alike where their contents are, links and access lists included', async () => {
    const at = (name: string, file: string): string => `${path(name)}/rootfs/${file}`;
    const refresh = async (refreshToken: string): Promise<void> => {
      const from = await migration.sendPieces({ volume: volume('a'), snapshots: [], sourceSnapshot: '', ...own });
      const to = await migration.receivePieces({ volume: volume('b'), snapshots: [], sizeBytes: 0, refreshToken, ...own });
      const ends = [migration.waitPieces(from, live), migration.waitPieces(to, live)];
      await carryPiece(from, to, '', { exact: true });
      await Promise.all([migration.endPieces(from), migration.endPieces(to), ...ends]);
      if (refreshToken !== '') await storage.snapshots.finishRestore(volume('b'), refreshToken);
    };
    linkSync(at('a', 'file'), at('a', 'hard'));
    // user::rw-, user:7:r--, group::r--, mask::r--, other::r--
    const accessList = '0200000001000600ffffffff020004000700000004000400ffffffff10000400ffffffff20000400ffffffff';
    python('os.setxattr(sys.argv[1], "system.posix_acl_access", bytes.fromhex(sys.argv[2]))', at('a', 'file'), accessList);
    await refresh('');
    // The same size at the same time.
    const { atime, mtime } = statSync(at('b', 'file'));
    writeFileSync(at('a', 'file'), 'other');
    utimesSync(at('a', 'file'), atime, mtime);

    await refresh('abc');

    expect([readFileSync(at('b', 'hard'), 'utf8'), statSync(at('b', 'file')).ino]).toEqual(['other', statSync(at('b', 'hard')).ino]);
    expect(python('print(os.getxattr(sys.argv[1], "system.posix_acl_access").hex())', at('b', 'file')).trim()).toBe(accessList);
  });

  function python(line: string, ...words: readonly string[]): string {
    return execFileSync('python3', ['-c', `import os, sys; ${line}`, ...words], { encoding: 'utf8' });
  }

  function run(words: readonly string[]): { stdout: string } {
    return { stdout: execFileSync(findRoostHelper(), [...words], { encoding: 'utf8' }) };
  }
});
