import { describe, expect, it } from 'vitest';
import { parseMountTable } from './mount-table.js';

describe('parseMountTable', () => {
  it('reads mount points with escapes and optional fields', () => {
    const text = '36 35 98:0 /sub /mnt/a\\040b rw,noatime master:1 - btrfs /dev/loop0 rw,subvolid=5\n37 35 0:4 / /proc rw - proc proc rw\n';

    const [first, second] = parseMountTable(text);

    expect(first).toEqual({ root: '/sub', mountPoint: '/mnt/a b', fsType: 'btrfs', source: '/dev/loop0', options: 'rw,subvolid=5' });
    expect(second?.mountPoint).toBe('/proc');
  });
});
