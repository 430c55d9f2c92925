import { chmodSync, chownSync, lstatSync, realpathSync, renameSync, rmSync, statSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { invalid } from '#kernel';

/** Where what comes is written to. Either `finish` or `giveUp` ends it. */
export interface Destination {
  readonly stream: Writable;
  /** All of it has come: now the file is there. */
  finish(): void;
  /** Leaves what was there before. */
  giveUp(): void;
}

/**
 * Opens a file for what comes: under another name beside it until it is whole, then with the owner of the one it takes the place of, and its mode unless another is
 * given. A link is followed. A pipe or a device cannot be replaced: what comes goes into it. Throws `invalid`.
 */
export async function openDestination(path: string, mode?: number): Promise<Destination> {
  const found = statsOf(path);
  const file = found === undefined || found.isFile() ? pathOf(path, found) : undefined;
  const partial = file === undefined ? undefined : `${file}.partial-${process.pid}`;
  const handle = await open(partial ?? path, 'w', 0o600).catch((error: NodeJS.ErrnoException) => { throw invalid(`open ${path}: ${reasons[error.code ?? ''] ?? error.message}`, { cause: error }); });
  return {
    stream: handle.createWriteStream(),
    finish: () => {
      if (file === undefined || partial === undefined) return;
      setRights(partial, found, mode ?? found?.mode ?? 0o666 & ~process.umask());
      renameSync(partial, file);
    },
    giveUp: () => { if (partial !== undefined) rmSync(partial, { force: true }); },
  };
}

const reasons: Readonly<Record<string, string>> = { ENOENT: 'no such file or directory', EACCES: 'permission denied', EISDIR: 'is a directory', ENOTDIR: 'not a directory' };

/** Undefined where nothing is there, or nothing can be. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The path of a file itself; undefined where none could be renamed to it, as behind a link that leads to nothing. */
function pathOf(path: string, found: Stats | undefined): string | undefined {
  try {
    if (found === undefined) return lstatSync(path, { throwIfNoEntry: false }) === undefined ? path : undefined;
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function setRights(path: string, before: Stats | undefined, mode: number): void {
  try {
    if (before !== undefined) chownSync(path, before.uid, before.gid);
  } catch {
    // Only root gives files away.
  }
  chmodSync(path, mode & 0o7777);
}
