import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import type { PoolSpec, VolumeSpec } from '#ports';
import { describeStorageDriver, describeVolumeSnapshots, describeVolumeTransfer, type VolumeTransferFixture } from '#ports/testing';
import { BtrfsSubvolumes, CommandRunner, parseMountTable } from '#host';
import { BtrfsStorageDriver } from '#drivers/storage-btrfs';
import { DirStorageDriver } from '#drivers/storage-dir';
import { FileImageStore } from '#drivers/image-store';
import { RoutingStorageDriver } from '../../apps/agent/src/routing-storage.driver.js';
import { RoutingVolumeSnapshots } from '../../apps/agent/src/routing-volume-snapshots.js';
import { VolumeTransferSessions } from '../../apps/agent/src/volume-transfer-sessions.js';
import { carry } from '../support/pipes.js';

const fingerprint = 'b'.repeat(64);
const sh = (...argv: [string, ...string[]]): string => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A state directory of its own with one image in the store; everything mounted below it is unmounted at the end. */
class Host {
  readonly root = mkdtempSync(join(tmpdir(), 'roost-storage-'));
  readonly state = new StateDirectory(this.root);
  readonly command = new CommandRunner();
  readonly options = { state: this.state, command: this.command, logger: new SilentLogger() };

  constructor() {
    chmodSync(this.root, 0o711);
    mkdirSync(this.state.uploads, { mode: 0o700 });
    mkdirSync(this.state.images, { mode: 0o700 });
    this.tree = join(this.root, 'tree');
    mkdirSync(join(this.tree, 'rootfs/bin'), { recursive: true });
    mkdirSync(join(this.tree, 'templates'));
    writeFileSync(join(this.tree, 'metadata.yaml'), 'architecture: x86_64\ncreation_date: 1\n');
    writeFileSync(join(this.tree, 'rootfs/bin/true'), '#!/bin/sh\n', { mode: 0o755 });
    // Of whom it is, an image's top directory says too.
    sh('chown', '12345:54321', this.tree);
    this.pack('tar', ['-cJf', this.image]);
  }

  readonly tree: string;
  get image(): string { return join(this.state.images, fingerprint); }

  pack(program: string, args: string[]): void {
    sh(program, ...args, '-C', this.tree, '.');
  }

  driver(name: 'dir' | 'btrfs'): DirStorageDriver | BtrfsStorageDriver {
    return name === 'dir' ? new DirStorageDriver(this.options) : new BtrfsStorageDriver(this.options);
  }

  pool(driver: 'dir' | 'btrfs', config: Record<string, string> = driver === 'btrfs' ? { size: '256MiB' } : {}): PoolSpec {
    return { name: 'p1', driver, config };
  }

  private readonly others: string[] = [];

  /** A directory that is not below the state directory. */
  outside(): string {
    const path = mkdtempSync(join(tmpdir(), 'roost-outside-'));
    this.others.push(path);
    return path;
  }

  mountsBelow(): string[] {
    const ours = [this.root, ...this.others];
    return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8')).map((entry) => entry.mountPoint)
      .filter((path) => ours.some((root) => path === root || path.startsWith(`${root}/`)));
  }

  close(): void {
    for (const path of this.mountsBelow().reverse()) sh('umount', path);
    for (const path of [this.root, ...this.others]) rmSync(path, { recursive: true, force: true });
    expect(sh('losetup', '-a')).not.toContain(this.root);
  }
}

for (const name of ['dir', 'btrfs'] as const) {
  describeStorageDriver(name, async () => {
    const host = new Host();
    return {
      driver: host.driver(name),
      pool: host.pool(name),
      imageFingerprint: fingerprint,
      restart: async () => host.driver(name),
      close: async () => host.close(),
    };
  });
}

/** Both drivers of a host behind one, as in the agent. */
function routed(host: Host): Pick<VolumeTransferFixture, 'driver' | 'snapshots' | 'transfers'> {
  const drivers = { dir: new DirStorageDriver(host.options), btrfs: new BtrfsStorageDriver(host.options) };
  const driver = new RoutingStorageDriver(new Map(Object.entries(drivers)));
  return {
    driver,
    snapshots: new RoutingVolumeSnapshots(new Map(Object.entries(drivers).map(([name, one]) => [name, one.snapshots])), driver),
    transfers: new VolumeTransferSessions({ directory: join(host.root, 'transfer'), drivers: new Map(Object.entries(drivers).map(([name, one]) => [name, one.streams])), logger: new SilentLogger() }),
  };
}

for (const name of ['dir', 'btrfs'] as const) {
  const fixture = async (): Promise<VolumeTransferFixture> => {
    const host = new Host();
    const other = name === 'dir' ? 'btrfs' : 'dir';
    const place = (volume: VolumeSpec, snapshot?: string): string =>
      join(host.state.pool(volume.pool.name), snapshot === undefined ? `containers/${volume.name}` : `containers-snapshots/${volume.name}/${snapshot}`);
    return {
      ...routed(host),
      pool: host.pool(name),
      otherPool: { ...host.pool(other), name: 'p2' },
      write: async (volume, content) => writeFileSync(`${place(volume)}/rootfs/mark`, content),
      read: async (volume, snapshot) => readFileSync(`${place(volume, snapshot)}/rootfs/mark`, 'utf8'),
      scratch: async (volume) => [dirname(place(volume)), dirname(place(volume, 's0'))].flatMap((path) => (existsSync(path) ? readdirSync(path).filter((entry) => entry.startsWith('.')) : [])),
      close: async () => host.close(),
    };
  };
  describeVolumeSnapshots(`a real ${name} pool`, fixture);
  describeVolumeTransfer(`a real ${name} pool`, fixture);
}

describe('subvolumes inside a container’s', () => {
  let host: Host;
  beforeEach(() => { host = new Host(); });
  afterEach(() => host.close());

  it('go along with snapshots, restores, copies and transfers', async () => {
    const { driver, snapshots, transfers } = routed(host);
    const pool = await driver.createPool(host.pool('btrfs'));
    const c1: VolumeSpec = { pool, kind: 'container', name: 'c1' };
    const at = (name: string, file = 'sub/inner/f'): string => join(host.state.pool('p1'), name, 'rootfs', file);
    await driver.createVolume({ volume: c1, imageFingerprint: '', sizeBytes: 0 });
    const subvolumes = new BtrfsSubvolumes();
    await subvolumes.create(at('containers/c1', 'sub'));
    await subvolumes.create(at('containers/c1', 'sub/inner'));
    writeFileSync(at('containers/c1'), 'one');
    // A link on the way to one must lead nowhere.
    mkdirSync(at('containers/c1', 'dir'));
    await subvolumes.create(at('containers/c1', 'dir/odd name'));

    await snapshots.createSnapshot(c1, 's0');
    expect(readFileSync(at('containers-snapshots/c1/s0'), 'utf8')).toBe('one');
    writeFileSync(at('containers/c1'), 'two');
    await snapshots.restoreSnapshot(c1, 's0', 'abc', false);
    await snapshots.finishRestore(c1, 'abc');
    expect(readFileSync(at('containers/c1'), 'utf8')).toBe('one');
    writeFileSync(at('containers/c1'), 'three');
    await snapshots.copyVolume({ source: c1, sourceSnapshot: '', target: { ...c1, name: 'c2' }, snapshots: ['s0'], sizeBytes: 0 });
    expect([readFileSync(at('containers/c2'), 'utf8'), readFileSync(at('containers-snapshots/c2/s0'), 'utf8')]).toEqual(['three', 'one']);

    for (const format of await transfers.transferFormats(pool)) {
      const [endpointUid, endpointGid] = [0, 0];
      const target = { ...c1, name: `by-${format}` };
      const sent = await transfers.sendVolume({ volume: c1, snapshots: ['s0'], format, sourceSnapshot: '', endpointUid, endpointGid });
      const received = await transfers.receiveVolume({ volume: target, snapshots: ['s0'], format, sizeBytes: 0, endpointUid, endpointGid });
      const { signal } = new AbortController();
      const { done } = await carry(sent.path, received.path);
      await Promise.all([done, transfers.waitTransfer(sent.sessionId, signal), transfers.waitTransfer(received.sessionId, signal)]);
      expect([format, readFileSync(at(`containers/${target.name}`), 'utf8'), readFileSync(at(`containers-snapshots/${target.name}/s0`), 'utf8')]).toEqual([format, 'three', 'one']);
    }
    for (const name of ['c1', 'c2', 'by-btrfs', 'by-tar']) await driver.destroyVolume({ ...c1, name });
    expect(readdirSync(join(host.state.pool('p1'), 'containers'))).toEqual([]);
    expect(readdirSync(join(host.state.pool('p1'), 'containers-snapshots'))).toEqual([]);
  });
});

describe('restores on a dir pool', () => {
  let host: Host;
  beforeEach(() => { host = new Host(); });
  afterEach(() => host.close());

  it('write only the files that have changed', async () => {
    const { driver, snapshots } = routed(host);
    const pool = await driver.createPool(host.pool('dir'));
    const c1: VolumeSpec = { pool, kind: 'container', name: 'c1' };
    const at = (file: string): string => join(host.state.pool('p1'), 'containers/c1/rootfs', file);
    await driver.createVolume({ volume: c1, imageFingerprint: '', sizeBytes: 0 });
    for (const file of ['same', 'changed']) writeFileSync(at(file), 'one');
    await snapshots.createSnapshot(c1, 's0');
    writeFileSync(at('changed'), 'two');
    const inodes = (): number[] => ['same', 'changed'].map((file) => statSync(at(file)).ino);
    const before = inodes();

    await snapshots.restoreSnapshot(c1, 's0', 'abc', false);
    await snapshots.finishRestore(c1, 'abc');

    expect(inodes().map((inode, index) => inode === before[index])).toEqual([true, false]);
    expect(['same', 'changed'].map((file) => readFileSync(at(file), 'utf8'))).toEqual(['one', 'one']);
    await driver.destroyVolume(c1);
  });
});

describe('storage on a real host', () => {
  let host: Host;
  beforeEach(() => { host = new Host(); });
  afterEach(() => host.close());

  const volume = (pool: PoolSpec, name: string) => ({ pool, kind: 'container' as const, name });
  const path = (name: string): string => join(host.state.pool('p1'), 'containers', name);
  const mode = (file: string): string => (lstatSync(file).mode & 0o7777).toString(8);

  for (const name of ['dir', 'btrfs'] as const) {
    it(`lays out a ${name} pool with the modes that keep other users away from setuid files`, async () => {
      const driver = host.driver(name);
      const pool = await driver.createPool(host.pool(name));
      await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 });

      const root = host.state.pool('p1');
      expect(readdirSync(root).filter((entry) => !entry.startsWith('.')).sort()).toEqual([
        'containers', 'containers-snapshots', 'custom', 'custom-snapshots', 'images', 'virtual-machines', 'virtual-machines-snapshots',
      ]);
      expect([mode(root), mode(`${root}/containers`), mode(`${root}/images`), mode(path('c1')), mode(path('c1/rootfs'))]).toEqual(['711', '711', '700', '100', '755']);
      expect(statSync(path('c1')).uid).toBe(0);
      expect(mode(path('c1/rootfs/bin/true'))).toBe('755');
      await driver.destroyVolume(volume(pool, 'c1'));
      await driver.destroyPool(pool);
      expect(existsSync(root)).toBe(false);
      expect(host.mountsBelow()).toEqual([]);
    });

    it(`removes what a killed process left half made in a ${name} pool`, async () => {
      const pool = await host.driver(name).createPool(host.pool(name));
      const leftover = join(host.state.pool('p1'), 'containers', '.roost-new-c1');
      if (name === 'dir') mkdirSync(`${leftover}/rootfs`, { recursive: true });
      else await new BtrfsSubvolumes().create(leftover);

      const driver = host.driver(name);
      await driver.ensurePoolMounted(pool);

      expect(existsSync(leftover)).toBe(false);
    });

    it(`never empties a directory it did not claim (${name})`, async () => {
      const foreign = join(host.root, 'foreign');
      mkdirSync(join(foreign, 'containers/precious'), { recursive: true });
      const spec = host.pool(name, { source: foreign });
      const driver = host.driver(name);

      await expect(driver.createPool(spec)).rejects.toThrow();
      await driver.destroyPool(spec);

      expect(existsSync(join(foreign, 'containers/precious'))).toBe(true);
    });

    it(`refuses images whose root is a link to the outside (${name})`, async () => {
      rmSync(join(host.tree, 'rootfs'), { recursive: true });
      mkdirSync(join(host.root, 'outside'));
      symlinkSync(join(host.root, 'outside'), join(host.tree, 'rootfs'));
      host.pack('tar', ['-czf', host.image]);
      const driver = host.driver(name);
      const pool = await driver.createPool(host.pool(name));

      await expect(driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 })).rejects.toThrow('Image has no directory "rootfs"');
      expect(await driver.listVolumes(pool)).toEqual([]);
    });
  }

  it('binds a directory pool to an external source and gives the empty directory back', async () => {
    const source = join(host.root, 'elsewhere');
    mkdirSync(source);
    const driver = host.driver('dir');
    const pool = await driver.createPool(host.pool('dir', { source }));
    await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 });

    expect(existsSync(join(source, 'containers/c1/metadata.yaml'))).toBe(true);
    expect(host.mountsBelow()).toEqual([host.state.pool('p1')]);
    await driver.destroyPool(pool);
    expect(readdirSync(source)).toEqual([]);
  });

  it('mounts a pool again that somebody unmounted', async () => {
    const driver = host.driver('btrfs');
    const pool = await driver.createPool(host.pool('btrfs'));
    sh('umount', host.state.pool('p1'));

    await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 });

    expect(host.mountsBelow()).toEqual([host.state.pool('p1')]);
  });

  it('mounts a loop file that detaches itself, and grows it', async () => {
    const driver = host.driver('btrfs');
    const pool = await driver.createPool(host.pool('btrfs'));
    expect(pool.config).toEqual({ size: '256MiB', source: join(host.state.disks, 'p1.img') });
    expect(sh('losetup', '-l', '-n', '-O', 'AUTOCLEAR,BACK-FILE')).toMatch(new RegExp(`1 ${pool.config['source']}`));
    expect(mode(pool.config['source'] ?? '')).toBe('600');

    await driver.updatePool(pool, { size: '400MiB', 'btrfs.mount_options': 'noatime' });

    expect((await driver.describePool(pool)).totalBytes).toBe(400 * 2 ** 20);
    await expect(driver.updatePool(pool, { size: '100MiB' })).rejects.toThrow('cannot be shrunk');
    await driver.unmountPool(pool);
    expect(sh('losetup', '-a')).not.toContain(host.root);
  });

  it('takes an existing subvolume or makes one, and a block device', async () => {
    const outer = host.driver('btrfs');
    await outer.createPool({ ...host.pool('btrfs'), name: 'outer' });
    const source = host.outside();
    sh('mount', '--bind', host.state.pool('outer'), source);
    const driver = host.driver('btrfs');
    const pool = await driver.createPool(host.pool('btrfs', { source: join(source, 'inner') }));
    await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 });
    expect(existsSync(join(source, 'inner/containers/c1/rootfs'))).toBe(true);
    await driver.destroyPool(pool);
    expect(existsSync(join(source, 'inner'))).toBe(false);

    const file = join(host.root, 'device.img');
    sh('truncate', '-s', '256M', file);
    const device = sh('losetup', '-f', '--show', file).trim();
    try {
      const onDevice = await driver.createPool(host.pool('btrfs', { source: device }));
      expect([device, undefined]).toContain(onDevice.config['volatile.initial_source'] ?? device);
      await driver.destroyPool(onDevice);
    } finally {
      sh('losetup', '-d', device);
    }
  });

  it('deletes a volume with subvolumes nested inside it', async () => {
    const driver = host.driver('btrfs');
    const pool = await driver.createPool(host.pool('btrfs'));
    await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 0 });
    const subvolumes = new BtrfsSubvolumes();
    await subvolumes.create(path('c1/rootfs/a'));
    mkdirSync(path('c1/rootfs/a/deep'));
    await subvolumes.create(path('c1/rootfs/a/deep/b'));
    await subvolumes.snapshot(path('c1/rootfs/a'), path('c1/rootfs/s'), { readOnly: true });

    await driver.destroyVolume(volume(pool, 'c1'));

    expect(existsSync(path('c1'))).toBe(false);
    expect(sh('btrfs', 'subvolume', 'list', host.state.pool('p1')).trim().split('\n')).toHaveLength(1);
  });

  it('enforces a quota, and lifts it from a full volume', async () => {
    const driver = host.driver('btrfs');
    const pool = await driver.createPool(host.pool('btrfs'));
    await driver.createVolume({ volume: volume(pool, 'c1'), imageFingerprint: fingerprint, sizeBytes: 5 * 2 ** 20 });
    const fill = (megabytes: number): string => sh('dd', 'if=/dev/zero', `of=${path('c1/rootfs/big')}`, 'bs=1M', `count=${megabytes}`, 'conv=fsync', 'status=none');

    expect(() => fill(20)).toThrow(/quota/i);
    await driver.resizeVolume(volume(pool, 'c1'), 50 * 2 ** 20);
    fill(20);
    sh('sync', '-f', path('c1'));
    expect((await driver.describeVolume(volume(pool, 'c1'))).usedBytes).toBeGreaterThan(20 * 2 ** 20);
  });
});

describe('image formats', () => {
  let host: Host;
  beforeEach(() => { host = new Host(); });
  afterEach(() => host.close());

  const unpacked = async (): Promise<string> => {
    const driver = host.driver('dir');
    const pool = await driver.createPool(host.pool('dir'));
    await driver.createVolume({ volume: { pool, kind: 'container', name: 'c1' }, imageFingerprint: fingerprint, sizeBytes: 0 });
    return join(host.state.pool('p1'), 'containers/c1');
  };

  for (const [title, flag] of [['plain', '-cf'], ['gzip', '-czf'], ['bzip2', '-cjf'], ['xz', '-cJf'], ['zstd', '--zstd -cf'], ['lzma', '--lzma -cf']] as const) {
    it(`reads and unpacks a ${title} tarball with owners, attributes and devices`, async () => {
      sh('chown', '12345:54321', join(host.tree, 'rootfs/bin/true'));
      sh('mknod', join(host.tree, 'rootfs/null'), 'c', '1', '3');
      try { sh('setfattr', '-n', 'user.roost', '-v', 'x', join(host.tree, 'rootfs/bin')); } catch { /* attr is not installed: nothing to compare then */ }
      host.pack('tar', ['--xattrs', '--xattrs-include=*', ...flag.split(' '), host.image]);

      const store = new FileImageStore(host.options);
      expect(await store.inspectImage(host.image, '')).toEqual({ metadataYaml: 'architecture: x86_64\ncreation_date: 1\n', type: 'container' });
      const root = await unpacked();

      const file = statSync(join(root, 'rootfs/bin/true'));
      expect([file.uid, file.gid]).toEqual([12345, 54321]);
      expect(statSync(join(root, 'rootfs/null')).rdev).toBe(0x103);
    });
  }

  it('unpacks a split image with a squashfs root', async () => {
    sh('mksquashfs', join(host.tree, 'rootfs'), `${host.image}.rootfs`, '-quiet', '-no-progress');
    rmSync(join(host.tree, 'rootfs'), { recursive: true });
    host.pack('tar', ['-czf', host.image]);

    expect((await new FileImageStore(host.options).inspectImage(host.image, `${host.image}.rootfs`)).type).toBe('container');
    const root = await unpacked();

    expect(existsSync(join(root, 'rootfs/bin/true'))).toBe(true);
    expect(existsSync(join(root, 'metadata.yaml'))).toBe(true);
  });

  it('unpacks a split image with a tarball root', async () => {
    sh('tar', '-cJf', `${host.image}.rootfs`, '-C', join(host.tree, 'rootfs'), '.');
    rmSync(join(host.tree, 'rootfs'), { recursive: true });
    host.pack('tar', ['-cJf', host.image]);

    expect(existsSync(join(await unpacked(), 'rootfs/bin/true'))).toBe(true);
  });

  it('knows a disk image, and what is no image', async () => {
    const store = new FileImageStore(host.options);
    writeFileSync(`${host.image}.rootfs`, Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(500)]));
    expect((await store.inspectImage(host.image, `${host.image}.rootfs`)).type).toBe('virtual-machine');

    const upload = join(host.state.uploads, 'x');
    writeFileSync(upload, 'hello');
    await expect(store.inspectImage(upload, '')).rejects.toThrow('Unsupported compression');
    rmSync(join(host.tree, 'metadata.yaml'));
    host.pack('tar', ['-czf', upload]);
    await expect(store.inspectImage(upload, '')).rejects.toThrow('Metadata tarball is missing metadata.yaml');
    sh('tar', '-czf', upload, '-C', host.tree, '--transform=s,bin/true,metadata.yaml,', 'rootfs');
    await expect(store.inspectImage(upload, '')).rejects.toThrow('Metadata tarball is missing metadata.yaml');
  });

  it('takes uploads over once, and no links', async () => {
    const store = new FileImageStore(host.options);
    const other = 'c'.repeat(64);
    writeFileSync(join(host.state.uploads, 'u1'), 'data');
    await store.adoptImage(other, join(host.state.uploads, 'u1'), '');
    await store.adoptImage(other, join(host.state.uploads, 'u1'), '');
    expect((await store.listImages()).sort()).toEqual([fingerprint, other]);
    await store.removeImage(other);
    await store.removeImage(other);
    expect(await store.listImages()).toEqual([fingerprint]);

    symlinkSync('/etc/shadow', join(host.state.uploads, 'link'));
    await expect(store.adoptImage(other, join(host.state.uploads, 'link'), '')).rejects.toThrow('not a plain file');
    await expect(store.adoptImage(other, '/etc/hostname', '')).rejects.toThrow('is not below');
    await expect(store.adoptImage('../x', join(host.state.uploads, 'u'), '')).rejects.toThrow('Invalid image fingerprint');
    expect(existsSync('/etc/shadow')).toBe(true);
  });

  it('writes nothing outside, whatever an archive names', async () => {
    sh('python3', '-c', `
import tarfile, io, sys
t = tarfile.open(sys.argv[1], 'w:gz')
def f(name, data=b'x', **kw):
    i = tarfile.TarInfo(name); i.size = len(data); [setattr(i, k, v) for k, v in kw.items()]; t.addfile(i, io.BytesIO(data))
f('metadata.yaml', b'architecture: x86_64\\n')
d = tarfile.TarInfo('rootfs'); d.type = tarfile.DIRTYPE; d.mode = 0o755; t.addfile(d)
for name, target in (('rootfs/abs', sys.argv[2]), ('rootfs/rel', '../../../../../' + sys.argv[2])):
    l = tarfile.TarInfo(name); l.type = tarfile.SYMTYPE; l.linkname = target; t.addfile(l)
    f(name + '/through-link')
f('/' + sys.argv[2].strip('/') + '/absolute')
f('rootfs/../../../../dotdot')
`, host.image, join(host.root, 'victim'));
    mkdirSync(join(host.root, 'victim'));

    await unpacked().catch(() => undefined);

    expect(readdirSync(join(host.root, 'victim'))).toEqual([]);
    expect(existsSync(join(host.state.pool('p1'), 'dotdot'))).toBe(false);
    expect(existsSync(join(host.root, 'dotdot'))).toBe(false);
  });

  it.each([['a name that leads up', 'NAMENAMENAMENAME', '../../../../esc!'], ['a name with a slash', 'NAMENAMENAMENAME', 'rootlink/escaped'], ['an absolute name', 'NAMENAMENAMENAME', '/tmp/roost-esc!!']])(
    'writes nothing outside for a squashfs with %s', async (_, name, hostile) => {
      const tree = join(host.root, 'hostile');
      mkdirSync(join(tree, 'rootfs'), { recursive: true });
      writeFileSync(join(tree, 'metadata.yaml'), 'architecture: x86_64\n');
      writeFileSync(join(tree, 'rootfs', name), 'hostile');
      symlinkSync(host.root, join(tree, 'rootfs', 'rootlink'));
      // Whoever makes one by hand is bound by no tool.
      rmSync(host.image, { force: true });
      sh('mksquashfs', tree, host.image, '-quiet', '-no-progress', '-noI', '-noD', '-noF', '-noX');
      const bytes = readFileSync(host.image);
      const at = bytes.indexOf(name);
      expect(at).toBeGreaterThan(0);
      bytes.write(hostile, at, 'latin1');
      writeFileSync(host.image, bytes);
      const before = readdirSync(host.root).sort();

      await expect(unpacked()).rejects.toThrow();

      expect(readdirSync(host.root).filter((entry) => entry !== 'storage-pools').sort()).toEqual(before);
      for (const path of ['/tmp/roost-esc!!', join(host.state.pool('p1'), 'esc!'), join(host.root, 'escaped'), join(host.state.root, 'esc!')]) expect(existsSync(path)).toBe(false);
    });
});
