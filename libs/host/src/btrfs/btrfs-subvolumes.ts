import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errnoName, ioctl, withDirectory } from '../ioctl/ioctl.js';
import {
  itemTypes, qgroupLimitArguments, qgroupUsage, requests, rootInode, rootRefName, searchArguments, searchResults, subvolumeIdentity, subvolumeInfoBytes, textOf, trees, volumeArguments,
  volumeByIdArguments, type QgroupUsage, type SearchItem, type SearchKey, type SubvolumeIdentity,
} from './btrfs-structs.js';

const quotaEnable = 1n;
const readOnlyFlag = 2n;

export interface NestedSubvolume {
  readonly id: bigint;
  /** Relative to the subvolume it was looked for in. */
  readonly path: string;
}

/**
 * Subvolumes and quota groups through the kernel's own calls: no process is started, which is what keeps creating an instance
 * near the price of one btrfs transaction. Paths are absolute. Needs root.
 */
export class BtrfsSubvolumes {
  async create(path: string): Promise<void> {
    const args = volumeArguments(basename(path));
    await withDirectory(dirname(path), (fd) => ioctl(fd, requests.subvolumeCreate, args, `Failed to create subvolume "${path}"`));
  }

  /** Clones a subvolume, nested ones excluded (they become empty directories). Durable when it returns. */
  async snapshot(source: string, path: string, options: { readOnly?: boolean } = {}): Promise<void> {
    await withDirectory(source, (sourceFd) => withDirectory(dirname(path), (fd) => {
      const args = volumeArguments(basename(path), { sourceFd, ...options });
      return ioctl(fd, requests.snapshotCreate, args, `Failed to snapshot "${source}" to "${path}"`);
    }));
  }

  async isReadOnly(path: string): Promise<boolean> {
    const flags = Buffer.alloc(8);
    await withDirectory(path, (fd) => ioctl(fd, requests.subvolumeGetFlags, flags, `Failed to look at subvolume "${path}"`));
    return (flags.readBigUInt64LE(0) & readOnlyFlag) !== 0n;
  }

  async setReadOnly(path: string, readOnly: boolean): Promise<void> {
    const flags = Buffer.alloc(8);
    flags.writeBigUInt64LE(readOnly ? readOnlyFlag : 0n);
    await withDirectory(path, (fd) => ioctl(fd, requests.subvolumeSetFlags, flags, `Failed to change subvolume "${path}"`));
  }

  /** Whether the path is the root directory of a subvolume. Call it for paths on btrfs only. */
  async isSubvolume(path: string): Promise<boolean> {
    const found = await stat(path).catch(() => undefined);
    return found?.isDirectory() === true && found.ino === rootInode;
  }

  /**
   * Deletes a subvolume with all those inside it, deepest first. They are named by id, so nothing a container left in its tree
   * (links, odd names) decides what is deleted. Absent is success.
   */
  async destroy(path: string): Promise<void> {
    const name = basename(path);
    try {
      await withDirectory(dirname(path), async (fd) => {
        const destroy = (): Promise<number> => ioctl(fd, requests.subvolumeDestroy, volumeArguments(name), `Failed to delete subvolume "${path}"`);
        try {
          await destroy();
        } catch (error) {
          if (errnoName(error) !== 'ENOTEMPTY') throw error;
          // Nothing is taken out of a read-only one.
          await this.setReadOnly(path, false);
          for (const id of await this.nestedDeepestFirst(await this.id(path), fd)) {
            await ioctl(fd, requests.subvolumeDestroy, volumeByIdArguments(id), `Failed to delete subvolume ${id} in "${path}"`);
          }
          await destroy();
        }
      });
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw error;
    }
  }

  /** Id of the subvolume the path lies in. */
  async id(path: string): Promise<bigint> {
    const args = Buffer.alloc(4096);
    args.writeBigUInt64LE(BigInt(rootInode), 8);
    await withDirectory(path, (fd) => ioctl(fd, requests.inodeLookup, args, `Failed to look up subvolume of "${path}"`));
    return args.readBigUInt64LE(0);
  }

  /** What streams know the subvolume by. */
  async identity(path: string): Promise<SubvolumeIdentity> {
    const info = Buffer.alloc(subvolumeInfoBytes);
    await withDirectory(path, (fd) => ioctl(fd, requests.subvolumeInfo, info, `Failed to describe subvolume "${path}"`));
    return subvolumeIdentity(info);
  }

  /** Turns on quota groups for the whole file system and waits until existing data is counted. Repeating it is harmless. */
  async enableQuota(poolPath: string): Promise<void> {
    const args = Buffer.alloc(16);
    args.writeBigUInt64LE(quotaEnable, 0);
    await withDirectory(poolPath, async (fd) => {
      await ioctl(fd, requests.quotaControl, args, `Failed to enable quotas on "${poolPath}"`);
      await ioctl(fd, requests.quotaRescanWait, null, `Failed waiting for quotas on "${poolPath}"`);
    });
  }

  /**
   * Limits what a subvolume may refer to; 0 lifts the limit. The call is made on the pool's root: made on the subvolume it would
   * itself be refused with EDQUOT once that is full.
   */
  async limit(poolPath: string, path: string, sizeBytes: number): Promise<void> {
    const args = qgroupLimitArguments(await this.id(path), sizeBytes);
    await withDirectory(poolPath, (fd) => ioctl(fd, requests.qgroupLimit, args, `Failed to set quota of "${path}"`));
  }

  /** Bytes of a subvolume as of the last btrfs transaction; undefined where quotas are off. */
  async usage(path: string): Promise<QgroupUsage | undefined> {
    return withDirectory(path, async (fd) => {
      const args = Buffer.alloc(4096);
      args.writeBigUInt64LE(BigInt(rootInode), 8);
      await ioctl(fd, requests.inodeLookup, args, `Failed to look up subvolume of "${path}"`);
      const id = args.readBigUInt64LE(0);
      const find = async (type: number): Promise<Buffer | undefined> =>
        (await this.search(fd, { tree: trees.quota, objectId: 0n, type, offset: [id, id] }))[0]?.data;
      try {
        return qgroupUsage(await find(itemTypes.qgroupInfo), await find(itemTypes.qgroupLimit));
      } catch (error) {
        if (errnoName(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  /** Removes the quota group of a subvolume that is gone. The kernel refuses while it is still being cleared away; that is no error. */
  async dropQgroup(poolPath: string, id: bigint): Promise<void> {
    const args = Buffer.alloc(16);
    args.writeBigUInt64LE(id, 8);
    await withDirectory(poolPath, (fd) => ioctl(fd, requests.qgroupCreate, args, 'Failed to remove quota group')).catch(() => undefined);
  }

  /** Subvolumes inside one, outer ones first, by their place in it. Those with names that are no text are left out. */
  async nested(path: string): Promise<NestedSubvolume[]> {
    const id = await this.id(path);
    return withDirectory(path, (fd) => this.nestedBelow(fd, id, ''));
  }

  /** Id of the subvolume an open directory lies in. */
  async idOf(fd: number): Promise<bigint> {
    const args = Buffer.alloc(4096);
    args.writeBigUInt64LE(BigInt(rootInode), 8);
    await ioctl(fd, requests.inodeLookup, args, 'Failed to look up a subvolume');
    return args.readBigUInt64LE(0);
  }

  /** Clones the subvolume open as `sourceFd` into the directory open as `fd`. */
  async snapshotInto(sourceFd: number, fd: number, name: string): Promise<void> {
    await ioctl(fd, requests.snapshotCreate, volumeArguments(name, { sourceFd }), `Failed to snapshot to "${name}"`);
  }

  private async nestedBelow(fd: number, parent: bigint, place: string): Promise<NestedSubvolume[]> {
    const found: NestedSubvolume[] = [];
    for (const { offset: id, data } of await this.search(fd, { tree: trees.root, objectId: parent, type: itemTypes.rootRef, offset: [0n, 2n ** 64n - 1n] })) {
      const name = rootRefName(data);
      const directory = await this.placeOf(fd, parent, data.readBigUInt64LE(0));
      if (name === null || directory === null) continue;
      const path = `${place}${directory}${name}`;
      found.push({ id, path }, ...(await this.nestedBelow(fd, id, `${path}/`)));
    }
    return found;
  }

  /** Path of a directory in its subvolume, ending with a slash; empty for its root. */
  private async placeOf(fd: number, subvolume: bigint, directory: bigint): Promise<string | null> {
    const args = Buffer.alloc(4096);
    args.writeBigUInt64LE(subvolume, 0);
    args.writeBigUInt64LE(directory, 8);
    await ioctl(fd, requests.inodeLookup, args, 'Failed to look up a directory');
    return textOf(args.subarray(16, args.indexOf(0, 16)));
  }

  private async nestedDeepestFirst(id: bigint, fd: number): Promise<bigint[]> {
    const children = (await this.search(fd, { tree: trees.root, objectId: id, type: itemTypes.rootRef, offset: [0n, 2n ** 64n - 1n] })).map((item) => item.offset);
    const below: bigint[] = [];
    for (const child of children) below.push(...(await this.nestedDeepestFirst(child, fd)), child);
    return below;
  }

  private async search(fd: number, key: SearchKey): Promise<SearchItem[]> {
    const found: SearchItem[] = [];
    let from = key.offset[0];
    for (;;) {
      const args = searchArguments({ ...key, offset: [from, key.offset[1]] });
      await ioctl(fd, requests.treeSearch, args, 'Failed to search the btrfs tree');
      // The kernel treats the key as one long number, so items of other types can lie between.
      const items = searchResults(args).filter((item) => item.objectId === key.objectId && item.type === key.type);
      found.push(...items);
      const last = items.at(-1);
      if (last === undefined || last.offset >= key.offset[1]) return found;
      from = last.offset + 1n;
    }
  }
}
