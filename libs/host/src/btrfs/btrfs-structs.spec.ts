import { describe, expect, it } from 'vitest';
import { qgroupLimitArguments, qgroupUsage, requests, searchArguments, searchResults, subvolumeIdentity, subvolumeInfoBytes, volumeArguments } from './btrfs-structs.js';

describe('btrfs structures', () => {
  it('has the request numbers of <linux/btrfs.h>', () => {
    expect(requests.snapshotCreate.toString(16)).toBe('50009417');
    expect(requests.subvolumeCreate.toString(16)).toBe('50009418');
    expect(requests.treeSearch.toString(16)).toBe('d0009411');
    expect(requests.qgroupLimit.toString(16)).toBe('8030942b');
    expect(requests.quotaRescanWait.toString(16)).toBe('942e');
    expect(requests.subvolumeInfo.toString(16)).toBe('81f8943c');
  });

  it('puts descriptor, flags and name where the kernel looks for them, and refuses paths', () => {
    const args = volumeArguments('c1', { sourceFd: 7, readOnly: true });

    expect([args.length, args.readBigInt64LE(0), args.readBigUInt64LE(16), args.toString('utf8', 56, 58)]).toEqual([4096, 7n, 2n, 'c1']);
    expect(() => volumeArguments('../x')).toThrow('Invalid subvolume name');
    expect(() => volumeArguments('é'.repeat(128))).toThrow('Invalid subvolume name');
  });

  it('reads what a search found', () => {
    const buffer = searchArguments({ tree: 8n, objectId: 0n, type: 242, offset: [257n, 257n] });
    buffer.writeUInt32LE(1, 64);
    buffer.writeBigUInt64LE(257n, 104 + 16);
    buffer.writeUInt32LE(242, 104 + 24);
    buffer.writeUInt32LE(8, 104 + 28);
    buffer.writeBigUInt64LE(99n, 104 + 32);

    const [item] = searchResults(buffer);

    expect([item?.offset, item?.type, item?.data.readBigUInt64LE(0)]).toEqual([257n, 242, 99n]);
  });

  it('knows a subvolume by its own id and the one it was received as', () => {
    const info = Buffer.alloc(subvolumeInfoBytes);
    info.fill(0xab, 296, 312);
    expect(subvolumeIdentity(info)).toEqual({ readOnly: false, uuid: 'ab'.repeat(16), receivedUuid: '' });

    info.writeBigUInt64LE(1n, 288);
    info.fill(0xcd, 312, 328);
    info.fill(0xef, 328, 344);
    expect(subvolumeIdentity(info)).toEqual({ readOnly: true, uuid: 'ab'.repeat(16), receivedUuid: 'ef'.repeat(16) });
  });

  it('tells a limit from none', () => {
    const info = Buffer.alloc(40);
    info.writeBigUInt64LE(1000n, 8);
    info.writeBigUInt64LE(10n, 24);
    const limit = Buffer.alloc(40);
    limit.writeBigUInt64LE(1n, 0);
    limit.writeBigUInt64LE(5000n, 8);

    expect(qgroupUsage(info, limit)).toEqual({ referencedBytes: 1000, exclusiveBytes: 10, limitBytes: 5000 });
    expect(qgroupUsage(info, undefined)?.limitBytes).toBe(0);
    expect(qgroupUsage(undefined, limit)).toBeUndefined();
    expect(qgroupLimitArguments(257n, 0).readBigUInt64LE(16)).toBe(2n ** 64n - 1n);
  });
});
