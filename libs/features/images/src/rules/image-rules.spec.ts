import { describe, expect, it } from 'vitest';
import { chooseImage, imagesOf, streamProducts } from '../remote/simplestreams.rules.js';
import { fileEnding } from './file-kind.rules.js';
import { parseImageMetadata } from './image-metadata.rules.js';
import { parseTime } from './image-wire.rules.js';
import { progressText, showBytes } from './progress.rules.js';
import { uploadOptions } from './upload-headers.rules.js';

describe('parseImageMetadata', () => {
  it('reads dates, architecture and properties as text', () => {
    expect(parseImageMetadata('architecture: x86_64\ncreation_date: 1424284563\nproperties: {a: 1, b: true, c: x}\n')).toEqual({
      architecture: 'x86_64', createdAt: '2015-02-18T18:36:03Z', expiresAt: '0001-01-01T00:00:00Z', properties: { a: '1', b: 'true', c: 'x' },
    });
  });

  it('keeps values as they are written and takes any name of an architecture', () => {
    expect(parseImageMetadata('architecture: amd64\ncreation_date: 1\nproperties:\n  a: 1.50\n  b: ~\n  c: "~"\n  d: yes\n')).toMatchObject({
      architecture: 'x86_64', properties: { a: '1.50', b: '', c: '~', d: 'yes' },
    });
  });

  it.each([
    ['', 'EOF'], ['- a', 'yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into api.ImageMetadata'],
    ['architecture: z80\ncreation_date: 1', "Architecture isn't supported: z80"], ['creation_date: 1', "Architecture isn't supported: "],
    ['architecture: x86_64', 'Missing creation date'],
    ['architecture: x86_64\ncreation_date: foo', 'yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `foo` into int64'],
    ['architecture: x86_64\ncreation_date: 1\nproperties: [a]', 'yaml: unmarshal errors:\n  line 3: cannot unmarshal !!seq into map[string]string'],
  ])('refuses %j', (text, message) => {
    expect(() => parseImageMetadata(text)).toThrow(expect.objectContaining({ kind: 'invalid', message }) as Error);
  });

  it('refuses what is no YAML', () => {
    expect(() => parseImageMetadata('architecture: [x')).toThrow(/^yaml: line \d+: /);
  });
});

describe('fileEnding', () => {
  it.each([
    ['1f8b08', '.tar.gz'], ['fd377a585a00', '.tar.xz'], ['425a68', '.tar.bz2'], ['28b52ffd', '.tar.zst'], ['68737173', '.squashfs'], ['514649fb', '.qcow2'], ['00', ''],
  ])('%s is %s', (hex, ending) => {
    expect(fileEnding(Buffer.from(hex, 'hex'))).toBe(ending);
  });
});

describe('progress', () => {
  it('reads as LXD shows it', () => {
    expect(progressText('rootfs', 45_000_000, 100_000_000, 14_062)).toBe('rootfs: 45% (3.20MB/s)');
    expect(progressText('', 500, 0, 1000)).toBe('500B (500B/s)');
    expect([showBytes(999), showBytes(1000), showBytes(12_345_678_901)]).toEqual(['999B', '1.00kB', '12.35GB']);
  });
});

describe('times and headers', () => {
  it('drop zeros that say nothing', () => {
    expect(parseTime('2030-01-02T03:04:05.500Z')).toBe('2030-01-02T03:04:05.5Z');
    expect(parseTime('2030-01-02T03:04:10.000+02:00')).toBe('2030-01-02T03:04:10+02:00');
  });

  it('take query strings', () => {
    expect(uploadOptions({ 'x-lxd-properties': 'a=b&c=d+e', 'x-lxd-profiles': 'profile=p1&profile=p2', 'x-lxd-public': 'true' })).toEqual({
      fingerprint: '', filename: '', public: true, properties: { a: 'b', c: 'd e' }, profiles: ['p1', 'p2'],
    });
    expect(uploadOptions({}).profiles).toBeNull();
  });
});

describe('chooseImage', () => {
  const version = (tag: string): object => ({
    items: {
      meta: { ftype: 'lxd.tar.xz', path: `${tag}/lxd.tar.xz`, size: 1, combined_squashfs_sha256: `${tag}a`.padEnd(64, '0'), 'combined_disk-kvm-img_sha256': `${tag}b`.padEnd(64, '0'), combined_rootxz_sha256: `${tag}c`.padEnd(64, '0') },
      squashfs: { ftype: 'squashfs', path: `${tag}/root.squashfs`, size: 2 }, disk: { ftype: 'disk-kvm.img', path: `${tag}/disk.img`, size: 3 },
      tar: { ftype: 'root.tar.xz', path: `${tag}/root.tar.xz`, size: 4 }, delta: { ftype: 'squashfs.vcdiff', path: 'x', size: 1 },
    },
  });
  const images = imagesOf(streamProducts.parse({
    products: {
      one: { aliases: '24.04, noble', arch: 'amd64', os: 'ubuntu', versions: { 20260101: version('1'), 20260201: version('2') } },
      two: { aliases: '24.04,noble', arch: 'arm64', os: 'ubuntu', versions: { 20260301: version('3') } },
      odd: { aliases: 'odd', arch: 'z80', versions: { 1: version('9') } },
      bare: { aliases: 'bare', arch: 'amd64', versions: { 1: { items: {} } } },
    },
  }));
  const find = (name: string, type = ''): string | undefined => chooseImage(images, name, type, ['x86_64', 'i686'])?.meta.path;

  it('takes the newest version for this host, squashfs before tarballs, containers before machines', () => {
    expect(chooseImage(images, 'noble', '', ['x86_64'])).toMatchObject({ serial: '20260201', type: 'container', fingerprint: '2a'.padEnd(64, '0'), sizeBytes: 3 });
    expect(chooseImage(images, 'noble', 'virtual-machine', ['x86_64'])).toMatchObject({ serial: '20260201', fingerprint: '2b'.padEnd(64, '0'), rootfs: { path: '2/disk.img' } });
  });

  it('takes an architecture by name, and any version by fingerprint', () => {
    expect(find('noble/arm64')).toBe('3/lxd.tar.xz');
    expect(find('noble/aarch64')).toBe('3/lxd.tar.xz');
    expect(find('1a0000')).toBe('1/lxd.tar.xz');
    expect([find('odd'), find('bare'), find('nope'), find('noble/sparc')]).toEqual([undefined, undefined, undefined, undefined]);
  });
});
