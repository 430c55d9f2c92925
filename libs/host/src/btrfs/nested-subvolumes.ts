import { constants } from 'node:fs';
import { open, rmdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { CopyTree } from '../copy-tree/copy-tree.js';
import type { BtrfsSubvolumes, NestedSubvolume } from './btrfs-subvolumes.js';

/**
 * Clones of subvolumes that have others inside them, which the kernel leaves out: programs in a container make such. Whoever runs inside may move things about
 * meanwhile, so no link is followed on the way, and what is cloned is known by its id; what is gone by then is an empty directory, as if it had gone a moment earlier.
 */
export class NestedSubvolumes {
  constructor(
    private readonly subvolumes: BtrfsSubvolumes,
    private readonly copies: CopyTree,
  ) {}

  /** Each one inside is cloned too; `readOnly` is the outer one's. */
  async snapshot(source: string, target: string, { readOnly = false }: { readonly readOnly?: boolean } = {}): Promise<void> {
    const nested = await this.subvolumes.nested(source);
    if (nested.length === 0) return this.subvolumes.snapshot(source, target, { readOnly });
    await this.build(source, target, async () => {
      for (const one of nested) await this.clone(source, target, one);
      if (readOnly) await this.subvolumes.setReadOnly(target, true);
    });
  }

  /** What those inside hold lies in directories of the clone, sharing its blocks; the clone is writable. Of a source that nobody changes meanwhile. */
  async flatten(source: string, target: string): Promise<void> {
    const nested = await this.subvolumes.nested(source);
    // A copy of an outer one has what its inner ones hold.
    const outer = nested.filter(({ path }) => !nested.some((other) => path.startsWith(`${other.path}/`)));
    await this.build(source, target, async () => {
      for (const { path } of outer) {
        await rmdir(`${target}/${path}`);
        await this.copies.copy(`${source}/${path}`, `${target}/${path}`);
      }
    });
  }

  private async build(source: string, target: string, fill: () => Promise<void>): Promise<void> {
    await this.subvolumes.snapshot(source, target);
    try {
      await fill();
    } catch (error) {
      await this.subvolumes.destroy(target);
      throw error;
    }
  }

  private async clone(source: string, target: string, { id, path }: NestedSubvolume): Promise<void> {
    const from = await openBelow(source, path).catch(() => null);
    const into = await openBelow(target, dirname(path)).catch(() => null);
    try {
      if (from === null || into === null || (await this.subvolumes.idOf(from.fd)) !== id) return;
      await rmdir(`/proc/self/fd/${into.fd}/${basename(path)}`);
      await this.subvolumes.snapshotInto(from.fd, into.fd, basename(path));
    } finally {
      await from?.close();
      await into?.close();
    }
  }
}

/** A directory, reached one component at a time, through no link. */
async function openBelow(base: string, path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  let handle = await open(base, flags);
  for (const component of path.split('/').filter((part) => part !== '.')) {
    const outer = handle;
    try {
      handle = await open(`/proc/self/fd/${outer.fd}/${component}`, flags);
    } finally {
      await outer.close();
    }
  }
  return handle;
}
