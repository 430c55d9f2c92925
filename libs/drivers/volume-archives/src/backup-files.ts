import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { forbidden, invalid, notFound, type StateDirectory } from '#kernel';
import { errnoName, formatProbeBytes, imageFormatOf, type TarCompression } from '#host';

export type BackupFormat = TarCompression | 'squashfs';

export interface OpenBackup {
  readonly format: BackupFormat;
  /** Gives a descriptor at the archive's beginning. */
  reading<T>(use: (fd: number) => Promise<T>): Promise<T>;
}

/**
 * Archives in the daemon's `backups/`. That directory is the daemon's, who needs no root: what it names must be a plain file of a single name in there, or it could
 * make root read any file of the host (hazards E4). It is opened once; whatever becomes of the name meanwhile, the file stays the same.
 */
export class BackupFiles {
  constructor(private readonly state: StateDirectory) {}

  async open<T>(path: string, use: (backup: OpenBackup) => Promise<T>): Promise<T> {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if ((await realpath(parent).catch(() => '')) !== (await realpath(this.state.backups))) throw forbidden(`"${path}" is not in "${this.state.backups}"`);
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
      throw errnoName(error) === 'ENOENT' ? notFound(`Backup file "${path}" does not exist`) : forbidden(`"${path}" is not a plain file`);
    });
    try {
      const found = await handle.stat();
      if (!found.isFile() || found.nlink !== 1) throw forbidden(`"${path}" is not a plain file`);
      return await use({ format: await formatOf(handle), reading: (work) => reopened(handle, work) });
    } finally {
      await handle.close();
    }
  }
}

/** By its descriptor and not by its name; with a position of its own. */
async function reopened<T>(handle: FileHandle, work: (fd: number) => Promise<T>): Promise<T> {
  const own = await open(`/proc/self/fd/${handle.fd}`, 'r');
  try {
    return await work(own.fd);
  } finally {
    await own.close();
  }
}

async function formatOf(handle: FileHandle): Promise<BackupFormat> {
  const head = Buffer.alloc(formatProbeBytes);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  if (bytesRead === 0) throw invalid('EOF');
  const format = imageFormatOf(head.subarray(0, bytesRead));
  if (format === undefined || format === 'qcow2') throw invalid('Unsupported compression');
  return format;
}
