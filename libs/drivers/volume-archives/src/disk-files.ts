import { close } from 'node:fs';
import { promisify } from 'node:util';
import { DiskStream, makePipe, type CommandRunner } from '#host';
import type { UnpackBackupRequest } from '#ports';
import { archivePrefix, layoutOf } from './archive-layout.rules.js';
import type { OpenBackup } from './backup-files.js';
import type { BackupMembers } from './backup-members.js';

const closeAsync = promisify(close);

/** Disks of block volumes, which lie in archives as one file each. */
export class DiskFiles {
  private readonly stream: DiskStream;

  constructor(command: CommandRunner, private readonly members: BackupMembers) {
    this.stream = new DiskStream(command);
  }

  /** Into the volume and its snapshots, that are directories below `scratch`. What is empty in a disk takes no space, however the archive has it. */
  async unpack({ volume, snapshots }: UnpackBackupRequest, backup: OpenBackup, scratch: string, signal: AbortSignal): Promise<void> {
    const layout = layoutOf(volume.kind);
    for (const snapshot of snapshots) await this.one(backup, `${layout.snapshots}/${snapshot}`, `${scratch}/snapshots/${snapshot}`, signal);
    await this.one(backup, layout.volume, `${scratch}/volume`, signal);
  }

  private async one(backup: OpenBackup, piece: string, directory: string, signal: AbortSignal): Promise<void> {
    const pipe = makePipe();
    const written = this.stream.receive({ directory, fd: pipe.read, signal }).finally(() => closeAsync(pipe.read));
    const read = this.members.copy(backup, `${archivePrefix}${piece}.img`, pipe.write, signal)
      .finally(() => closeAsync(pipe.write));
    // A disk that is full says so; who feeds it only sees its pipe broken.
    for (const result of await Promise.allSettled([written, read])) if (result.status === 'rejected') throw result.reason as Error;
  }
}
