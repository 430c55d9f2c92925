import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, createReadStream, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import type { PoolSpec, TransferStarted, VolumeSnapshots, VolumeSpec } from '#ports';
import { BtrfsSubvolumes, CommandRunner, parseMountTable, RoostHelper, tarEnd, tarHeader, tarPadding } from '#host';
import { BtrfsStorageDriver } from '#drivers/storage-btrfs';
import { DirStorageDriver } from '#drivers/storage-dir';
import { LocalVolumeArchives } from '#drivers/volume-archives';
import { RoutingStorageDriver } from '../../apps/agent/src/routing-storage.driver.js';
import { VolumeTransferSessions } from '../../apps/agent/src/volume-transfer-sessions.js';
import { carry } from '../support/pipes.js';

const never = new AbortController().signal;
const endpoint = { endpointUid: process.getuid?.() ?? 0, endpointGid: process.getgid?.() ?? 0 };
const sh = (...argv: [string, ...string[]]): string => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

interface Member {
  readonly name: string;
  /** `0` file, `1` hard link, `2` symbolic link, `3` character device, `5` directory. */
  readonly type?: string;
  readonly link?: string;
  readonly content?: string;
  readonly mode?: number;
}

/** An archive of members as somebody with bad intentions writes them. */
function archive(...members: readonly Member[]): Buffer {
  const blocks = [{ name: 'backup/index.yaml', content: 'name: c1\n' }, { name: 'backup/container', type: '5', mode: 0o100 }, ...members as Member[]].flatMap((member) => {
    const content = Buffer.from(member.content ?? '');
    const header = tarHeader({ name: member.name, sizeBytes: content.length, mode: member.mode ?? 0o644, modifiedAt: 1 });
    header.write(member.type ?? '0', 156, 'latin1');
    header.write(member.link ?? '', 157);
    if (member.type === '3') header.write('0000001\0', 329, 'latin1');
    // The volume is a user's of the host.
    if (member.name === 'backup/container') header.write('0002322\0', 108, 'latin1');
    header.fill(' ', 148, 156);
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0`, 148, 'latin1');
    return [header, content, tarPadding(content.length)];
  });
  return Buffer.concat([...blocks, tarEnd()]);
}

/** The same as a file system; as it is where that cannot have such members. */
function squashed(content: Buffer): Buffer {
  const file = join(root, 'squashed');
  const { status } = spawnSync('sqfstar', ['-quiet', '-no-progress', '-exit-on-error', file], { input: content });
  const result = status === 0 ? readFileSync(file) : content;
  rmSync(file, { force: true });
  return result;
}

const rootfs: Member = { name: 'backup/container/rootfs', type: '5', mode: 0o755 };

let root: string;
let outside: string;
let state: StateDirectory;
let storage: RoutingStorageDriver;
let storageDrivers: ReadonlyMap<string, DirStorageDriver | BtrfsStorageDriver>;
let transfers: VolumeTransferSessions;
let archives: LocalVolumeArchives;
const pools = new Map<string, PoolSpec>();

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'roost-archives-'));
  outside = mkdtempSync(join(tmpdir(), 'roost-outside-'));
  chmodSync(root, 0o711);
  state = new StateDirectory(root);
  for (const directory of [state.backups, state.images, state.uploads, state.run]) mkdirSync(directory, { mode: 0o700 });
  const command = new CommandRunner();
  const options = { state, command, logger: new SilentLogger() };
  const drivers = storageDrivers = new Map<string, DirStorageDriver | BtrfsStorageDriver>([['dir', new DirStorageDriver(options)], ['btrfs', new BtrfsStorageDriver(options)]]);
  const streams = new Map([...drivers].map(([name, driver]) => [name, driver.streams]));
  storage = new RoutingStorageDriver(drivers);
  transfers = new VolumeTransferSessions({ directory: join(root, 'transfer'), drivers: streams, logger: new SilentLogger() });
  archives = new LocalVolumeArchives({ state, command, storage, drivers: streams, startSending: (where, work) => transfers.startSending(where, work) });
  for (const driver of drivers.keys()) pools.set(driver, await storage.createPool({ name: driver, driver, config: driver === 'btrfs' ? { size: '256MiB' } : {} }));
});
afterAll(async () => {
  for (const pool of pools.values()) await storage.destroyPool(pool);
  const mounts = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8')).map((entry) => entry.mountPoint).filter((path) => path.startsWith(`${root}/`));
  for (const path of mounts.reverse()) sh('umount', path);
  for (const path of [root, outside]) rmSync(path, { recursive: true, force: true });
});

const snapshots = (driver: string): VolumeSnapshots => storageDrivers.get(driver)!.snapshots;
const volume = (driver: string, name = 'c1'): VolumeSpec => ({ pool: pools.get(driver)!, kind: 'container', name });
const place = ({ pool, name }: VolumeSpec, below = ''): string => join(state.pool(pool.name), 'containers', name, below);
const left = (driver: string): string[] => readdirSync(join(state.pool(driver), 'containers'));

function put(content: Buffer, name = 'import-x'): string {
  const path = join(state.backups, name);
  writeFileSync(path, content);
  return path;
}

async function save(started: Promise<TransferStarted>, name: string): Promise<string> {
  const { sessionId, path } = await started;
  const file = join(state.backups, name);
  const { done } = await carry(path, file);
  await Promise.all([done, transfers.waitTransfer(sessionId, never)]);
  return file;
}

for (const driver of ['dir', 'btrfs'] as const) {
  describe(`a backup unpacked into a pool of ${driver}`, () => {
    beforeEach(async () => {
      await storage.destroyVolume(volume(driver));
      for (const name of readdirSync(outside)) rmSync(join(outside, name), { recursive: true, force: true });
    });
    const unpack = (content: Buffer, snapshots: string[] = []): Promise<void> =>
      archives.unpackBackup({ path: put(content), volume: volume(driver), snapshots, optimized: false, sizeBytes: 0 }, never);

    it('writes nothing outside, whatever its members are called', async () => {
      await unpack(archive(
        rootfs, { name: `${outside}/absolute`, content: 'x' }, { name: `backup/container/../../../../../../../..${outside}/dots`, content: 'x' },
        { name: 'backup/container/rootfs/../../../up', content: 'x' }, { name: 'backup/other/file', content: 'x' }, { name: `/backup/container${outside}/slash`, content: 'x' },
        { name: 'backup/container/rootfs/ok', content: 'fine' },
      )).catch((error: unknown) => expect(error).toMatchObject({ kind: 'invalid' }));

      expect(readdirSync(outside)).toEqual([]);
      expect(readdirSync(join(state.pool(driver), 'containers')).filter((name) => name !== 'c1')).toEqual([]);
      expect(existsSync(join(state.pool(driver), 'up'))).toBe(false);
    });

    it('follows no link it has brought itself', async () => {
      for (const target of [outside, '../../../../../../../..'.concat(outside)]) {
        await unpack(archive(rootfs, { name: 'backup/container/rootfs/way', type: '2', link: target }, { name: 'backup/container/rootfs/way/file', content: 'x' }))
          .catch((error: unknown) => expect(error).toMatchObject({ kind: 'invalid' }));
        expect(readdirSync(outside)).toEqual([]);
        await storage.destroyVolume(volume(driver));
      }
    });

    it('makes no hard link to a file of the host', async () => {
      const secret = join(outside, 'secret');
      writeFileSync(secret, 'secret', { mode: 0o600 });
      for (const link of [secret, `../../../../../../../..${secret}`, `backup/container/../../../../../../../..${secret}`]) {
        await unpack(archive(rootfs, { name: 'backup/container/rootfs/stolen', type: '1', link })).catch((error: unknown) => expect(error).toMatchObject({ kind: 'invalid' }));
        expect(statSync(secret).nlink).toBe(1);
        await storage.destroyVolume(volume(driver));
      }
    });

    it.each([
      ['a link for a root file system', [{ name: 'backup/container/rootfs', type: '2', link: '/' }]],
      ['a link in the place of the volume', [{ name: 'backup/container', type: '2', link: '/etc' }]],
      ['no root file system', [{ name: 'backup/container/metadata.yaml', content: 'a: b' }]],
      ['a link for templates', [rootfs, { name: 'backup/container/templates', type: '2', link: '/etc' }]],
      ['a link for its metadata', [rootfs, { name: 'backup/container/metadata.yaml', type: '2', link: '/etc/shadow' }]],
      ['a device for its description', [rootfs, { name: 'backup/container/backup.yaml', type: '3' }]],
      ['metadata by two names', [rootfs, { name: 'backup/container/rootfs/other', content: 'x' }, { name: 'backup/container/metadata.yaml', type: '1', link: 'backup/container/rootfs/other' }]],
    ] as const)('is refused with %s', async (_what, members) => {
      for (const content of [archive(...members), squashed(archive(...members))]) await expect(unpack(content)).rejects.toMatchObject({ kind: 'invalid' });
      expect(left(driver)).toEqual([]);
    });

    it('is refused with a link to another container in its place, or in that of a snapshot', async () => {
      mkdirSync(join(outside, 'rootfs'));
      chmodSync(outside, 0o755);
      for (const [snapshots, members] of [[[], [{ name: 'backup/container', type: '2', link: outside }]], [['s0'], [rootfs, { name: 'backup/snapshots/s0', type: '2', link: outside }]]] as const) {
        for (const content of [archive(...members), squashed(archive(...members))]) await expect(unpack(content, [...snapshots])).rejects.toMatchObject({ kind: 'invalid' });
        expect([left(driver), statSync(outside).mode & 0o777]).toEqual([[], 0o755]);
      }
    });

    it('is refused without a snapshot it names, and leaves nothing', async () => {
      await expect(unpack(archive(rootfs), ['s0'])).rejects.toMatchObject({ kind: 'invalid' });
      await expect(unpack(archive(rootfs).subarray(0, 1600))).rejects.toMatchObject({ kind: 'invalid' });
      await expect(unpack(gzipSync(archive(rootfs)).subarray(0, 60))).rejects.toMatchObject({ kind: 'invalid' });
      await expect(unpack(squashed(archive(rootfs)), ['s0'])).rejects.toMatchObject({ kind: 'invalid' });
      await expect(unpack(squashed(archive(rootfs)).subarray(0, 100))).rejects.toMatchObject({ kind: 'invalid' });
      expect(left(driver)).toEqual([]);
    });

    it.each([['an archive', gzipSync], ['a file system', squashed]] as const)('keeps in %s what a container may have: links, devices, odd names', async (_what, form) => {
      await unpack(form(archive(
        rootfs, { name: 'backup/container/rootfs/etc', type: '5', mode: 0o755 }, { name: 'backup/container/rootfs/etc/localtime', type: '2', link: '/usr/share/zoneinfo/UTC' },
        { name: 'backup/container/rootfs/null', type: '3', mode: 0o666 }, { name: 'backup/container/rootfs/-rf *', content: 'x' }, { name: 'backup/container/rootfs/a', content: 'x' },
        { name: 'backup/container/rootfs/b', type: '1', link: 'backup/container/rootfs/a' },
      )));

      const path = (name: string): string => place(volume(driver), `rootfs/${name}`);
      expect([lstatSync(path('etc/localtime')).isSymbolicLink(), lstatSync(path('null')).isCharacterDevice(), readFileSync(path('-rf *'), 'utf8'), statSync(path('b')).nlink]).toEqual([true, true, 'x', 2]);
      const { mode, uid } = statSync(place(volume(driver)));
      expect([mode & 0o777, uid]).toEqual([0o100, 0]);
    });

    it.each(['none', 'squashfs'])('has its holes after a way out and in (%s)', async (compression) => {
      await storage.createVolume({ volume: volume(driver), imageFingerprint: '', sizeBytes: 0 });
      writeFileSync(place(volume(driver), 'rootfs/huge'), 'begin');
      truncateSync(place(volume(driver), 'rootfs/huge'), 64 * 1024 ** 3);
      const file = await save(archives.packBackup({ volume: volume(driver), snapshots: [], optimized: false, index: 'name: c1\n', compression, ...endpoint }), 'packed');
      expect(statSync(file).size).toBeLessThan(1024 * 1024);
      expect([await archives.inspectBackup(file), readdirSync(state.run)]).toEqual([{ index: 'name: c1\n' }, []]);
      await storage.destroyVolume(volume(driver));

      await archives.unpackBackup({ path: file, volume: volume(driver), snapshots: [], optimized: false, sizeBytes: 0 }, never);
      const { size, blocks } = statSync(place(volume(driver), 'rootfs/huge'));
      expect([size, blocks < 1000]).toEqual([64 * 1024 ** 3, true]);
    });

    it('is given up when asked, and leaves nothing', async () => {
      const abort = new AbortController();
      const waiting = archives.unpackBackup({ path: put(archive(rootfs, { name: 'backup/container/rootfs/a', content: 'x'.repeat(30_000_000) })), volume: volume(driver), snapshots: [], optimized: false, sizeBytes: 0 }, abort.signal);
      abort.abort();
      await expect(waiting).rejects.toThrow();
      expect(left(driver)).toEqual([]);
    });
  });
}

for (const driver of ['dir', 'btrfs'] as const) {
  describe(`a backup of a custom volume unpacked into a pool of ${driver}`, () => {
    const custom = (block: boolean): VolumeSpec => ({ pool: pools.get(driver)!, kind: 'custom', name: 'default_v1', ...(block ? { block } : {}) });
    const at = (below = ''): string => join(state.pool(driver), 'custom/default_v1', below);
    const unpack = (block: boolean, members: readonly Member[], snapshots: string[] = []): Promise<void> =>
      archives.unpackBackup({ path: put(archive(...members)), volume: custom(block), snapshots, optimized: false, sizeBytes: 0 }, never);
    beforeEach(async () => { await storage.destroyVolume(custom(false)); });

    it.each([
      ['no volume', [{ name: 'backup/volume.img', content: 'x' }]],
      ['a link for a volume', [{ name: 'backup/volume', type: '2', link: '/etc' }]],
      ['a file for a volume', [{ name: 'backup/volume', content: 'x' }]],
    ] as const)('is refused with %s', async (_what, members) => {
      await expect(unpack(false, members)).rejects.toMatchObject({ kind: 'invalid' });
      expect(existsSync(at())).toBe(false);
    });

    it.each([
      ['no disk', [{ name: 'backup/volume', type: '5' }]],
      ['a link for a disk', [{ name: 'backup/volume.img', type: '2', link: '/etc/passwd' }]],
      ['a second name of a file for a disk', [{ name: 'backup/volume.img', type: '1', link: '/etc/passwd' }]],
      ['a device for a disk', [{ name: 'backup/volume.img', type: '3' }]],
      ['a directory for a disk', [{ name: 'backup/volume.img', type: '5' }]],
      ['an empty disk', [{ name: 'backup/volume.img' }]],
    ] as const)('is refused with %s', async (_what, members) => {
      await expect(unpack(true, members)).rejects.toMatchObject({ kind: 'invalid' });
      expect(existsSync(at())).toBe(false);
    });

    it('is refused with a link in the place of a piece that is shifted, and shifts nothing outside', async () => {
      writeFileSync(join(outside, 'file'), 'x');
      for (const path of [outside, join(outside, 'file')]) sh('chown', '100007:100008', path);
      const shifted = (snapshot: string) => [{ snapshot, idmap: [{ isUid: true, isGid: true, hostId: 100_000, nsId: 0, range: 65536 }] }];
      for (const [snapshots, members] of [
        [[], [{ name: 'backup/volume', type: '2', link: outside }]], [['s0'], [{ name: 'backup/volume', type: '5' }, { name: 'backup/volume-snapshots/s0', type: '2', link: outside }]],
      ] as const) {
        await expect(archives.unpackBackup({
          path: put(archive(...members)), volume: custom(false), snapshots: [...snapshots], optimized: false, sizeBytes: 0, shifted: shifted(snapshots[0] ?? ''),
        }, never)).rejects.toMatchObject({ kind: 'invalid' });
        expect([outside, join(outside, 'file')].map((path) => [statSync(path).uid, statSync(path).gid])).toEqual([[100_007, 100_008], [100_007, 100_008]]);
        expect(existsSync(at())).toBe(false);
      }
      rmSync(join(outside, 'file'));
    });

    it('has the container\'s own ids in its files, whatever they were shifted to', async () => {
      const shifted = (snapshot: string, base: number) => ({ snapshot, idmap: [{ isUid: true, isGid: true, hostId: base, nsId: 0, range: 65536 }] });
      await storage.createVolume({ volume: custom(false), imageFingerprint: '', sizeBytes: 0 });
      writeFileSync(at('file'), 'x');
      linkSync(at('file'), at('again'));
      sh('chown', '100007:100008', at('file'));
      await snapshots(driver).createSnapshot(custom(false), 's0');
      sh('chown', '200007:200008', at('file'));
      sh('chown', '200000:200000', at());
      for (const [optimized, compression] of [[false, 'none'], [false, 'squashfs'], ...(driver === 'btrfs' ? [[true, 'none'], [true, 'squashfs']] as const : [])] as const) {
        const file = await save(archives.packBackup({ volume: custom(false), snapshots: ['s0'], optimized, index: 'name: v1\n', compression, ...endpoint }), `packed-${optimized}`);
        await storage.renameVolume(custom(false), 'default_v2');
        await archives.unpackBackup({ path: file, volume: custom(false), snapshots: ['s0'], optimized, sizeBytes: 0, shifted: [shifted('s0', 100_000), shifted('', 200_000)] }, never);

        const owners = (path: string): number[] => [statSync(path).uid, statSync(path).gid];
        const snapshot = join(state.pool(driver), 'custom-snapshots/default_v1/s0/file');
        expect([owners(at()), owners(at('file')), owners(at('again')), owners(snapshot)]).toEqual([[0, 0], [7, 8], [7, 8], [7, 8]]);
        await storage.destroyVolume(custom(false));
        await storage.renameVolume({ ...custom(false), name: 'default_v2' }, 'default_v1');
      }
    });

    it('gets the container\'s own ids where it is, once', async () => {
      const idmap = [{ isUid: true, isGid: false, hostId: 100_000, nsId: 0, range: 65536 }, { isUid: false, isGid: true, hostId: 100_000, nsId: 0, range: 65536 }];
      const snapshot = (name: string, below = ''): string => join(state.pool(driver), 'custom-snapshots/default_v1', name, below);
      await storage.createVolume({ volume: custom(false), imageFingerprint: '', sizeBytes: 0 });
      writeFileSync(at('file'), 'x');
      sh('chown', '101000:101000', at('file'));
      await snapshots(driver).createSnapshot(custom(false), 's0');
      for (const path of [at(), at('file')]) sh('chown', '100007:100008', path);
      await snapshots(driver).createSnapshot(custom(false), 's1');

      await archives.unshiftVolume({ volume: custom(false), snapshots: ['s0', 's1'], idmap: [{ ...idmap[0]!, hostId: 300_000 }] });
      await archives.unshiftVolume({ volume: custom(false), snapshots: ['s0', 's1'], idmap });
      sh('chown', '100009:100009', at('file'));
      await archives.unshiftVolume({ volume: custom(false), snapshots: ['s0', 's1'], idmap });

      const owners = (path: string): number[] => [statSync(path).uid, statSync(path).gid];
      expect([owners(at()), owners(snapshot('s1')), owners(snapshot('s1', 'file'))]).toEqual([[7, 8], [7, 8], [7, 8]]);
      // What is not shifted as a whole is left alone, whatever ids its files have.
      expect([owners(at('file')), owners(snapshot('s0')), owners(snapshot('s0', 'file'))]).toEqual([[100_009, 100_009], [0, 0], [101_000, 101_000]]);
      if (driver === 'btrfs') expect(() => writeFileSync(snapshot('s1', 'more'), 'x')).toThrow('EROFS');
    });

    it('is refused without a snapshot it names', async () => {
      await expect(unpack(true, [{ name: 'backup/volume.img', content: 'x' }], ['s0'])).rejects.toMatchObject({ kind: 'invalid' });
      await expect(unpack(false, [{ name: 'backup/volume', type: '5' }], ['s0'])).rejects.toMatchObject({ kind: 'invalid' });
      expect(existsSync(at())).toBe(false);
    });

    it('takes no space for what is empty in a disk, however the archive has it', async () => {
      const content = archive({ name: 'backup/volume.img', content: `begin${'\0'.repeat(4 * 1024 ** 2)}` });
      await archives.unpackBackup({ path: put(squashed(content)), volume: custom(true), snapshots: [], optimized: false, sizeBytes: 0 }, never);
      expect(readFileSync(at('root.img')).subarray(0, 6).toString()).toBe('begin\0');
      await storage.destroyVolume(custom(true));
      await archives.unpackBackup({ path: put(content), volume: custom(true), snapshots: [], optimized: false, sizeBytes: 0 }, never);
      expect([statSync(at('root.img')).size, statSync(at('root.img')).blocks < 1000]).toEqual([4 * 1024 ** 2 + 5, true]);

      truncateSync(at('root.img'), 64 * 1024 ** 3);
      for (const optimized of driver === 'btrfs' ? [false, true] : [false]) {
        const file = await save(archives.packBackup({ volume: custom(true), snapshots: [], optimized, index: 'name: v1\n', compression: 'none', ...endpoint }), 'packed');
        expect(statSync(file).size).toBeLessThan(1024 * 1024);
        expect(sh('tar', '-tf', file).split('\n')).toContain(optimized ? 'backup/volume.bin' : 'backup/volume.img');
      }
      await storage.destroyVolume(custom(true));
    });
  });
}

describe('the tool that shifts ids', () => {
  it('follows no link in the place of the tree', async () => {
    const tree = mkdtempSync(join(outside, 'tree-'));
    writeFileSync(join(tree, 'file'), 'x');
    symlinkSync(tree, `${tree}.link`);
    const owners = (): number[] => [statSync(tree).uid, statSync(join(tree, 'file')).uid];
    const shift = (path: string): Promise<void> => new RoostHelper(new CommandRunner()).shiftTree(path, [], [{ isUid: true, isGid: true, hostId: 100_000, nsId: 0, range: 65536 }]);
    const before = owners();

    await expect(shift(`${tree}.link`)).rejects.toThrow('Cannot open');
    expect(owners()).toEqual(before);
    await shift(tree);
    expect(owners()).toEqual(before.map((id) => id + 100_000));

    for (const path of [tree, `${tree}.link`]) rmSync(path, { recursive: true });
  });
});

describe('a program that compresses', () => {
  it('is missed before anything is read', async () => {
    if (existsSync('/usr/bin/pigz')) return;
    await expect(archives.packBackup({ volume: volume('dir', 'none'), snapshots: [], optimized: false, index: '', compression: 'pigz', ...endpoint })).rejects.toThrow('exec: "pigz": executable file not found in $PATH');
  });
});

describe('what the daemon names as a backup', () => {
  it('is a plain file of its own directory, and nothing else is read', async () => {
    const secret = join(outside, 'secret.tar');
    writeFileSync(secret, archive(rootfs));
    symlinkSync(secret, join(state.backups, 'link'));
    linkSync(secret, join(state.backups, 'hard'));
    sh('mkfifo', join(state.backups, 'fifo'));
    for (const path of [secret, join(state.backups, 'link'), join(state.backups, 'hard'), join(state.backups, 'fifo'), `${state.backups}/../backups/../images/x`, '/proc/self/environ']) {
      await expect(archives.inspectBackup(path), path).rejects.toMatchObject({ kind: expect.stringMatching(/forbidden|not-found/) as string });
    }
    for (const name of ['link', 'hard', 'fifo']) rmSync(join(state.backups, name));
  });

  it('tells its index, and is refused without one or with one that fills the memory', async () => {
    expect(await archives.inspectBackup(put(archive(rootfs)))).toEqual({ index: 'name: c1\n' });
    await expect(archives.inspectBackup(put(Buffer.from('junk')))).rejects.toThrow('Unsupported compression');
    await expect(archives.inspectBackup(put(Buffer.alloc(0)))).rejects.toThrow('EOF');
    const empty = Buffer.concat([tarHeader({ name: 'backup/x', sizeBytes: 0, mode: 0o644, modifiedAt: 1 }), tarEnd()]);
    await expect(archives.inspectBackup(put(empty))).rejects.toThrow('Backup is missing index.yaml');
    const bomb = gzipSync(Buffer.concat([tarHeader({ name: 'backup/index.yaml', sizeBytes: 64 * 1024 ** 2, mode: 0o644, modifiedAt: 1 }), Buffer.alloc(64 * 1024 ** 2, 'a'), tarEnd()]));
    await expect(archives.inspectBackup(put(bomb))).rejects.toThrow(/wrote more than/);
  });
});

describe('streams of btrfs in a backup', () => {
  const subvolumes = new BtrfsSubvolumes();

  async function stream(name: string, fill: (path: string) => void): Promise<Buffer> {
    const source = join(state.pool('btrfs'), `containers/.roost-evil-${name}`);
    await subvolumes.create(source);
    fill(source);
    await subvolumes.setReadOnly(source, true);
    const bytes = execFileSync('btrfs', ['send', '-q', source], { maxBuffer: 64 * 1024 ** 2 });
    await subvolumes.destroy(source);
    return bytes;
  }

  const unpack = (bytes: Buffer): Promise<void> => archives.unpackBackup({
    path: put(Buffer.concat([archive().subarray(0, -1024), tarHeader({ name: 'backup/container.bin', sizeBytes: bytes.length, mode: 0o600, modifiedAt: 1 }), bytes, tarPadding(bytes.length), tarEnd()])),
    volume: volume('btrfs', 'o1'), snapshots: [], optimized: true, sizeBytes: 0,
  }, never);

  it('are taken, and checked like files', async () => {
    await unpack(await stream('good', (path) => { mkdirSync(`${path}/rootfs`); writeFileSync(`${path}/rootfs/mark`, 'x'); }));
    expect(readFileSync(place(volume('btrfs', 'o1'), 'rootfs/mark'), 'utf8')).toBe('x');
    writeFileSync(place(volume('btrfs', 'o1'), 'rootfs/mark'), 'y');
    await storage.destroyVolume(volume('btrfs', 'o1'));

    await expect(unpack(await stream('link', (path) => symlinkSync('/', `${path}/rootfs`)))).rejects.toMatchObject({ kind: 'invalid' });
    await expect(unpack(Buffer.from('junk'))).rejects.toMatchObject({ kind: 'invalid' });
    await expect(unpack(Buffer.alloc(0))).rejects.toMatchObject({ kind: 'invalid' });
    const two = await stream('two', (path) => mkdirSync(`${path}/rootfs`));
    const three = await stream('three', (path) => mkdirSync(`${path}/rootfs`));
    await expect(unpack(Buffer.concat([two, three]))).rejects.toMatchObject({ kind: 'invalid' });
    expect(left('btrfs').filter((name) => name !== 'c1')).toEqual([]);
  });

  it('reach nothing outside, whatever they name', async () => {
    const good = await stream('paths', (path) => { mkdirSync(`${path}/rootfs`); writeFileSync(`${path}/rootfs/${'n'.repeat(60)}`, 'x'); });
    const name = Buffer.from(`rootfs/${'n'.repeat(60)}`);
    const evil = Buffer.from(`../../../../../../../../../../..${outside}/`.padEnd(name.length, 'e').slice(0, name.length));
    const bytes = Buffer.from(good);
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) evil.copy(bytes, at);
    await unpack(bytes).catch(() => undefined);
    expect(readdirSync(outside).filter((one) => one.startsWith('e'))).toEqual([]);
    await storage.destroyVolume(volume('btrfs', 'o1'));
  });
});

describe('an archive of a volume', () => {
  it('that is replaced while it is packed fails', async () => {
    const one = volume('dir', 'r1');
    await storage.createVolume({ volume: one, imageFingerprint: '', sizeBytes: 0 });
    writeFileSync(place(one, 'rootfs/big'), Buffer.alloc(8 * 1024 ** 2, 'x'));
    const { sessionId, path } = await archives.packBackup({ volume: one, snapshots: [], optimized: false, index: 'name: r1\n', compression: 'none', ...endpoint });
    const reader = createReadStream(path, { highWaterMark: 4096 });
    await new Promise<void>((done) => reader.once('readable', () => done()));
    // Whether tar notices before or after the renaming is done is a matter of the moment.
    const failed = expect(transfers.waitTransfer(sessionId, never)).rejects.toThrow();
    await storage.renameVolume(one, 'r2');
    reader.resume();
    await failed;
    await storage.destroyVolume(volume('dir', 'r2'));
  });

  it('of an image is the same every time, with the ids inside a container that has shifted ones', async () => {
    const one = volume('dir', 's1');
    await storage.createVolume({ volume: one, imageFingerprint: '', sizeBytes: 0 });
    writeFileSync(place(one, 'rootfs/file'), 'x');
    sh('setfattr', '-n', 'user.mark', '-v', 'yes', place(one, 'rootfs/file'));
    const pack = (name: string, idmap: readonly object[] = []): Promise<string> =>
      save(archives.packImage({ volume: one, snapshot: '', metadata: 'architecture: x86_64\n', modifiedAt: 5, idmap: idmap as never, compression: 'gzip -9', ...endpoint }), name);
    const [first, second] = [readFileSync(await pack('i1')), readFileSync(await pack('i2'))];
    expect(first.equals(second)).toBe(true);
    expect(sh('tar', '--xattrs', '-tvvzf', join(state.backups, 'i1'))).toContain('user.mark');

    sh('chown', '-R', '100007:100008', place(one, 'rootfs'));
    sh('chown', '100000', place(one));
    const file = await pack('i3', [{ isUid: true, isGid: false, hostId: 100_000, nsId: 0, range: 65_536 }, { isUid: false, isGid: true, hostId: 100_000, nsId: 0, range: 65_536 }]);
    expect(sh('tar', '--numeric-owner', '-tvzf', file)).toMatch(/ 7\/8 .* rootfs\/file/);
    await storage.destroyVolume(one);
  });
});
