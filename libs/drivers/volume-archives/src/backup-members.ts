import { mkdir, rename, rm } from 'node:fs/promises';
import { Squashfs, Tar, type CommandRunner } from '#host';
import { archivePrefix, type ArchiveLayout } from './archive-layout.rules.js';
import type { OpenBackup } from './backup-files.js';

/** Members of backups, whether these are archives of tar's or file systems. */
export class BackupMembers {
  private readonly tar: Tar;
  private readonly squashfs: Squashfs;

  constructor(command: CommandRunner) {
    this.tar = new Tar(command);
    this.squashfs = new Squashfs(command);
  }

  /** A small one as text; undefined where there is none. More than `maxBytes` is refused. */
  read({ format, reading }: OpenBackup, member: string, maxBytes: number): Promise<string | undefined> {
    return reading((fd) => (format === 'squashfs' ? this.squashfs.readMemberOf({ fd, member, maxBytes }) : this.tar.readMemberOf({ fd, compression: format, member, maxBytes })));
  }

  /** The content of one file. */
  copy({ format, reading }: OpenBackup, member: string, to: number, signal: AbortSignal): Promise<void> {
    return reading((fd) => (format === 'squashfs' ? this.squashfs.copyMember({ fd, member, to, signal }) : this.tar.copyMember({ fd, compression: format, member, to, signal })));
  }

  /** The files of a volume and its snapshots, into the directories `volume` and `snapshots/NAME` below `scratch`. */
  async unpackTrees({ format, reading }: OpenBackup, layout: ArchiveLayout, snapshots: readonly string[], scratch: string, signal: AbortSignal): Promise<void> {
    const members = [...snapshots.map((snapshot) => `${layout.snapshots}/${snapshot}`), layout.volume].map((name) => `${archivePrefix}${name}`);
    if (format !== 'squashfs') {
      return underNames(layout, scratch, scratch, () => reading((fd) => this.tar.unpackMembers({ fd, compression: format, members, strip: 1, into: scratch, signal })));
    }
    // Nothing can be left out of its names. What the file system says of the directories above the trees is not wanted.
    const whole = `${scratch}/whole`;
    await mkdir(`${whole}/${archivePrefix}`, { recursive: true, mode: 0o700 });
    await underNames(layout, scratch, `${whole}/${archivePrefix}`, () => reading((fd) => this.squashfs.unpackMembers({ fd, members, into: whole, signal })));
    await rm(whole, { recursive: true });
  }
}

/** Gives the directories the archive's names, in `directory`, for the time of `work`. */
async function underNames({ volume, snapshots }: ArchiveLayout, scratch: string, directory: string, work: () => Promise<void>): Promise<void> {
  const places = [[`${scratch}/volume`, `${directory}/${volume}`], [`${scratch}/snapshots`, `${directory}/${snapshots}`]].filter(([ours, theirs]) => ours !== theirs) as [string, string][];
  for (const [ours, theirs] of places.toReversed()) await rename(ours, theirs);
  await work();
  for (const [ours, theirs] of places) await rename(theirs, ours);
}
