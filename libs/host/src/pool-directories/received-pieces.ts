import { lstat } from 'node:fs/promises';
import { invalid } from '#kernel';
import type { CommandRunner } from '../command.js';
import { RoostHelper, type ShiftRange } from '../roost-helper/roost-helper.js';
import { blockFile } from './block-volume.js';

/** Refuses a piece of a volume, a directory, that is not what it has to be. @throws `invalid`. */
export type PieceCheck = (path: string) => Promise<void>;

/** A volume whose pieces have come to lie below a scratch directory: `volume`, and `snapshots/NAME` for each snapshot. */
export interface ReceivedVolume {
  readonly volume: { readonly kind: string; readonly block?: boolean };
  readonly snapshots: readonly string[];
  /** Pieces, the volume's by an empty name, whose files have other ids than the container's own. */
  readonly shifted?: readonly { readonly snapshot: string; readonly idmap: readonly ShiftRange[] }[];
}

/** Pieces of volumes that somebody else has made: an archive's author, or another server. What the host does with them must not lead out of them. */
export class ReceivedPieces {
  private readonly helper: RoostHelper;

  constructor(command: CommandRunner) {
    this.helper = new RoostHelper(command);
  }

  /** `what` came begins the refusals: `The backup`. */
  check({ kind, block }: ReceivedVolume['volume'], what: string): PieceCheck {
    const inside = kind === 'container' ? requireContainer : block === true ? requireDisk : () => Promise.resolve();
    return async (path) => {
      if (!(await isDirectory(path))) throw invalid(`${what} has no directory for the volume`);
      await inside(path, what);
    };
  }

  /** Checks all pieces, and then gives their files the container's own ids. Nothing is done to one before: a link would lead elsewhere on the host. */
  async settle({ volume, snapshots, shifted = [] }: ReceivedVolume, scratch: string, what: string, signal: AbortSignal): Promise<void> {
    const check = this.check(volume, what);
    for (const name of [...snapshots, '']) await check(placeOf(scratch, name));
    for (const { snapshot, idmap } of shifted) await this.unshift(placeOf(scratch, snapshot), idmap, signal);
  }

  /** Gives the files of a piece, one that was checked or is the host's own, the container's own ids. */
  async unshift(path: string, idmap: readonly ShiftRange[], signal?: AbortSignal): Promise<void> {
    await this.helper.shiftTree(path, idmap, [], signal);
  }
}

function placeOf(scratch: string, snapshot: string): string {
  return snapshot === '' ? `${scratch}/volume` : `${scratch}/snapshots/${snapshot}`;
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

/** What the host itself opens of a container's volume. */
async function requireContainer(path: string, what: string): Promise<void> {
  if (!(await isDirectory(`${path}/rootfs`))) throw invalid(`${what} has no directory "rootfs"`);
  const templates = await lstat(`${path}/templates`).catch(() => undefined);
  if (templates !== undefined && !templates.isDirectory()) throw invalid(`${what} has no directory "templates"`);
  for (const name of ['metadata.yaml', 'backup.yaml']) {
    const found = await lstat(`${path}/${name}`).catch(() => undefined);
    if (found !== undefined && (!found.isFile() || found.nlink !== 1)) throw invalid(`${what} has a "${name}" that is not a regular file`);
  }
}

/** The one file of a block volume. */
async function requireDisk(path: string, what: string): Promise<void> {
  const found = await lstat(blockFile(path)).catch(() => undefined);
  if (found === undefined || !found.isFile() || found.nlink !== 1 || found.size === 0) throw invalid(`${what} holds no disk`);
}
