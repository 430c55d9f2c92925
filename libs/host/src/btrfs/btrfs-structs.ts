import { isUtf8 } from 'node:buffer';
import { invalid } from '#kernel';
import { ioctlNumber } from '../ioctl/ioctl.js';

/** Layouts of <linux/btrfs.h> and <linux/btrfs_tree.h>: request numbers, and buffers built and read by hand. */
const magic = 0x94;
const volumeArgsBytes = 4096;
export const subvolumeInfoBytes = 504;

export const requests = {
  snapshotCreate: ioctlNumber(1, magic, 23, volumeArgsBytes),
  subvolumeCreate: ioctlNumber(1, magic, 24, volumeArgsBytes),
  subvolumeGetFlags: ioctlNumber(2, magic, 25, 8),
  subvolumeSetFlags: ioctlNumber(1, magic, 26, 8),
  subvolumeDestroy: ioctlNumber(1, magic, 63, volumeArgsBytes),
  treeSearch: ioctlNumber(3, magic, 17, volumeArgsBytes),
  inodeLookup: ioctlNumber(3, magic, 18, volumeArgsBytes),
  sync: ioctlNumber(0, magic, 8, 0),
  quotaControl: ioctlNumber(3, magic, 40, 16),
  qgroupCreate: ioctlNumber(1, magic, 42, 16),
  qgroupLimit: ioctlNumber(2, magic, 43, 48),
  quotaRescanWait: ioctlNumber(0, magic, 46, 0),
  subvolumeInfo: ioctlNumber(2, magic, 60, subvolumeInfoBytes),
} as const;

/** Every subvolume's root directory has this inode number. */
export const rootInode = 256;
export const trees = { root: 1n, quota: 8n } as const;
export const itemTypes = { rootRef: 156, qgroupInfo: 242, qgroupLimit: 244 } as const;

/** Name in a `struct btrfs_root_ref`: a directory's inode, a sequence, the length of the name, the name. */
export function rootRefName(data: Buffer): string | null {
  return textOf(data.subarray(18, 18 + data.readUInt16LE(16)));
}

/** Null for what is no UTF-8. */
export function textOf(bytes: Buffer): string | null {
  return isUtf8(bytes) ? bytes.toString('utf8') : null;
}

const readOnlyFlag = 2n;
const byIdFlag = 16n;
const nameOffset = 56;
const nameBytesMax = 4039;

/** `struct btrfs_ioctl_vol_args_v2` with a name. `sourceFd` is the subvolume to snapshot. */
export function volumeArguments(name: string, options: { sourceFd?: number; readOnly?: boolean } = {}): Buffer {
  const buffer = Buffer.alloc(volumeArgsBytes);
  const bytes = Buffer.from(name);
  if (bytes.length > Math.min(nameBytesMax, 255) || name.includes('/') || name === '') throw invalid(`Invalid subvolume name "${name}"`);
  buffer.writeBigInt64LE(BigInt(options.sourceFd ?? 0), 0);
  buffer.writeBigUInt64LE(options.readOnly ? readOnlyFlag : 0n, 16);
  bytes.copy(buffer, nameOffset);
  return buffer;
}

/** The same structure naming a subvolume by its id, wherever it lies in the file system. */
export function volumeByIdArguments(id: bigint): Buffer {
  const buffer = Buffer.alloc(volumeArgsBytes);
  buffer.writeBigUInt64LE(byIdFlag, 16);
  buffer.writeBigUInt64LE(id, nameOffset);
  return buffer;
}

export interface SearchKey {
  readonly tree: bigint;
  readonly objectId: bigint;
  readonly type: number;
  /** Inclusive range. */
  readonly offset: readonly [bigint, bigint];
}

export interface SearchItem {
  readonly objectId: bigint;
  readonly offset: bigint;
  readonly type: number;
  readonly data: Buffer;
}

const searchHeaderBytes = 104;
const itemHeaderBytes = 32;
const maxU64 = 2n ** 64n - 1n;
const itemsPerCall = 4096;

/** `struct btrfs_ioctl_search_args`. */
export function searchArguments(key: SearchKey): Buffer {
  const buffer = Buffer.alloc(volumeArgsBytes);
  [key.tree, key.objectId, key.objectId, key.offset[0], key.offset[1], 0n, maxU64].forEach((value, i) => buffer.writeBigUInt64LE(value, i * 8));
  buffer.writeUInt32LE(key.type, 56);
  buffer.writeUInt32LE(key.type, 60);
  buffer.writeUInt32LE(itemsPerCall, 64);
  return buffer;
}

export function searchResults(buffer: Buffer): SearchItem[] {
  const items: SearchItem[] = [];
  let at = searchHeaderBytes;
  for (let left = buffer.readUInt32LE(64); left > 0; left--) {
    const length = buffer.readUInt32LE(at + 28);
    items.push({
      objectId: buffer.readBigUInt64LE(at + 8),
      offset: buffer.readBigUInt64LE(at + 16),
      type: buffer.readUInt32LE(at + 24),
      data: buffer.subarray(at + itemHeaderBytes, at + itemHeaderBytes + length),
    });
    at += itemHeaderBytes + length;
  }
  return items;
}

export interface SubvolumeIdentity {
  readonly readOnly: boolean;
  /** Hex digits of its own. */
  readonly uuid: string;
  /** Of the subvolume a stream was made of that this one came by; empty for none. */
  readonly receivedUuid: string;
}

/** Of `struct btrfs_ioctl_get_subvol_info_args`. */
export function subvolumeIdentity(info: Buffer): SubvolumeIdentity {
  const received = info.subarray(328, 344);
  return { readOnly: (info.readBigUInt64LE(288) & 1n) !== 0n, uuid: info.toString('hex', 296, 312), receivedUuid: received.every((byte) => byte === 0) ? '' : received.toString('hex') };
}

const clearLimit = 2n ** 64n - 1n;
const limitReferencedFlag = 1n;

/** `struct btrfs_ioctl_qgroup_limit_args` for the bytes a subvolume refers to; 0 lifts the limit. */
export function qgroupLimitArguments(qgroupId: bigint, sizeBytes: number): Buffer {
  const buffer = Buffer.alloc(48);
  buffer.writeBigUInt64LE(qgroupId, 0);
  buffer.writeBigUInt64LE(limitReferencedFlag, 8);
  buffer.writeBigUInt64LE(sizeBytes === 0 ? clearLimit : BigInt(sizeBytes), 16);
  return buffer;
}

export interface QgroupUsage {
  readonly referencedBytes: number;
  readonly exclusiveBytes: number;
  /** Limit on what is referred to, 0 for none. */
  readonly limitBytes: number;
}

export function qgroupUsage(info: Buffer | undefined, limit: Buffer | undefined): QgroupUsage | undefined {
  if (info === undefined) return undefined;
  const limited = limit !== undefined && (limit.readBigUInt64LE(0) & limitReferencedFlag) !== 0n;
  const limitBytes = limited ? limit.readBigUInt64LE(8) : 0n;
  return {
    referencedBytes: Number(info.readBigUInt64LE(8)),
    exclusiveBytes: Number(info.readBigUInt64LE(24)),
    limitBytes: limitBytes === clearLimit ? 0 : Number(limitBytes),
  };
}
