import { close } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { blockFile, makePipe, type CommandRunner } from '#host';
import type { UnpackBackupRequest } from '#ports';
import { archivePrefix, layoutOf } from './archive-layout.rules.js';
import type { OpenBackup } from './backup-files.js';
import type { BackupMembers } from './backup-members.js';

const closeAsync = promisify(close);

/** Disks of block volumes, which lie in archives as one file each. */
export class DiskFiles {
  constructor(private readonly command: CommandRunner, private readonly members: BackupMembers) {}

  /** Into the volume and its snapshots, that are directories below `scratch`. What is empty in a disk takes no space, however the archive has it. */
  async unpack({ volume, snapshots }: UnpackBackupRequest, backup: OpenBackup, scratch: string, signal: AbortSignal): Promise<void> {
    const layout = layoutOf(volume.kind);
    for (const snapshot of snapshots) await this.one(backup, `${layout.snapshots}/${snapshot}`, `${scratch}/snapshots/${snapshot}`, signal);
    await this.one(backup, layout.volume, `${scratch}/volume`, signal);
  }

  private async one(backup: OpenBackup, piece: string, directory: string, signal: AbortSignal): Promise<void> {
    const file = await open(blockFile(directory), 'wx', 0o600);
    const pipe = makePipe();
    try {
      const written = this.command.run({ argv: ['dd', 'bs=128k', 'iflag=fullblock', 'conv=sparse', 'status=none'], stdin: { fd: pipe.read }, stdoutFd: file.fd, timeoutMs: 0, signal })
        .finally(() => closeAsync(pipe.read));
      const read = this.members.copy(backup, `${archivePrefix}${piece}.img`, pipe.write, signal)
        .finally(() => closeAsync(pipe.write));
      // A disk that is full says so; who feeds it only sees its pipe broken.
      for (const result of await Promise.allSettled([written, read])) if (result.status === 'rejected') throw result.reason as Error;
    } finally {
      await file.close();
    }
  }
}
