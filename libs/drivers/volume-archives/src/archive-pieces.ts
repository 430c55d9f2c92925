import { mkdir, open, rm, symlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CommandRunner } from '#host';

/** Links in `scratch` that have the pieces' names in the archive. */
export async function stageTrees(pieces: readonly { readonly path: string; readonly name: string }[], scratch: string): Promise<void> {
  for (const { path, name } of pieces) {
    await mkdir(dirname(`${scratch}/${name}`), { recursive: true, mode: 0o700 });
    await symlink(path, `${scratch}/${name}`);
  }
}

export interface StreamFile {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

/** What `write` writes, in a file that has lost its name already and goes with its descriptor. */
export async function streamFile(path: string, write: (fd: number) => Promise<void>): Promise<StreamFile> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await write(handle.fd);
    const { size } = await handle.stat();
    return { handle: await open(path, 'r'), sizeBytes: size };
  } finally {
    await handle.close();
    await rm(path, { force: true });
  }
}

export async function copyFile(command: CommandRunner, { handle }: StreamFile, to: number, signal: AbortSignal): Promise<void> {
  try {
    await command.run({ argv: ['cat'], stdin: { fd: handle.fd }, stdoutFd: to, timeoutMs: 0, signal });
  } finally {
    await handle.close();
  }
}
