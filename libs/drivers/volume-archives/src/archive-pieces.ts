import { close } from 'node:fs';
import { mkdir, open, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { CommandRunner } from '#host';

const closeAsync = promisify(close);

/** Links in `scratch` that have the pieces' names in the archive. */
export async function stageTrees(pieces: readonly { readonly path: string; readonly name: string }[], scratch: string): Promise<void> {
  for (const { path, name } of pieces) {
    await mkdir(dirname(`${scratch}/${name}`), { recursive: true, mode: 0o700 });
    await symlink(path, `${scratch}/${name}`);
  }
}

export interface StreamFile {
  readonly fd: number;
  readonly sizeBytes: number;
}

/** What `write` writes, in a file that has lost its name already and goes with its descriptor. */
export async function streamFile(path: string, write: (fd: number) => Promise<void>): Promise<StreamFile> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await write(handle.fd);
    const { size } = await handle.stat();
    return { fd: (await open(path, 'r')).fd, sizeBytes: size };
  } finally {
    await handle.close();
    await rm(path, { force: true });
  }
}

export async function copyFile(command: CommandRunner, { fd }: StreamFile, to: number, signal: AbortSignal): Promise<void> {
  try {
    await command.run({ argv: ['cat'], stdin: { fd }, stdoutFd: to, timeoutMs: 0, signal });
  } finally {
    await closeAsync(fd);
  }
}
