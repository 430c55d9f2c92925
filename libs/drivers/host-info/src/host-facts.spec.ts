import { describe, expect, it } from 'vitest';
import { cpuModels, parseCacheSize } from './cpu-resources.js';
import { DeviceNames } from './device-names.js';
import { architecturesOf, parseOsRelease, rootIdmap } from './kernel-facts.rules.js';
import { meminfo } from './memory-resources.js';
import { parseVpd } from './pci-resources.js';
import { parseUdev } from './storage-resources.js';
import { parseNumberList } from './sysfs.js';

describe('kernel', () => {
  it('knows what a machine runs', () => {
    expect(architecturesOf('x86_64')).toEqual(['x86_64', 'i686']);
    expect(architecturesOf('riscv64')).toEqual(['riscv64']);
  });

  it('reads os-release with and without quotes', () => {
    const names = parseOsRelease('NAME="Debian GNU/Linux"\nVERSION_ID=12\n');
    expect([names.get('NAME'), names.get('VERSION_ID')]).toEqual(['Debian GNU/Linux', '12']);
  });
});

describe('rootIdmap', () => {
  it("takes root's first range that is big enough, or the default", () => {
    expect(rootIdmap('lxd:1:99999\nroot:5000:100\nroot:700000:70000\nroot:900000:80000\n', '# root:1:100000\n')).toEqual([
      { isUid: true, isGid: false, hostId: 700_000, nsId: 0, range: 70_000 },
      { isUid: false, isGid: true, hostId: 1_000_000, nsId: 0, range: 1_000_000_000 },
    ]);
  });
});

describe('hardware texts', () => {
  it('reads lists, sizes, models and memory', () => {
    expect(parseNumberList('0-2,8')).toEqual([0, 1, 2, 8]);
    expect(parseNumberList('')).toEqual([]);
    expect([parseCacheSize('32K'), parseCacheSize('32M'), parseCacheSize('')]).toEqual([32768, 2 ** 25, 0]);
    expect(cpuModels('processor\t: 1\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n\n').get(1)).toEqual({ name: 'AMD EPYC', vendor: 'AuthenticAMD' });
    expect(meminfo('MemTotal:       24684096 kB\nHugePages_Total:       3').get('MemTotal')).toBe(24_684_096 * 1024);
  });

  it('finds names of vendors and products', () => {
    const names = DeviceNames.parse('# comment\n1af4  Red Hat, Inc.\n\t1041  Virtio 1.0 network device\n\t\t1af4 0001  sub\n8086  Intel\nC 03  Human Interface Device\n\t01  Boot\nHID 21  x\n\t01  y');
    expect([names.vendor('1af4'), names.product('1af4', '1041'), names.product('8086', '1041')]).toEqual(['Red Hat, Inc.', 'Virtio 1.0 network device', '']);
    expect([names.className('03'), names.subclassName('03', '01')]).toEqual(['Human Interface Device', 'Boot']);
  });

  it('reads vital product data', () => {
    const text = (value: string): Buffer => Buffer.from(value, 'latin1');
    const name = Buffer.concat([Buffer.from([0x82, 4, 0]), text('Card')]);
    const entries = Buffer.concat([Buffer.from([0x90, 11, 0]), text('PN'), Buffer.from([3]), text('abc'), text('RV'), Buffer.from([0]), Buffer.from([0x78])]);
    expect(parseVpd(Buffer.concat([name, entries]))).toEqual({ product_name: 'Card', entries: { PN: 'abc' } });
    expect(parseVpd(Buffer.alloc(0))).toEqual({});
  });

  it('reads what udev noted', () => {
    expect(parseUdev('S:disk/by-id/wwn-1\nE:ID_SERIAL_SHORT=S=1').get('ID_SERIAL_SHORT')).toBe('S=1');
  });
});
