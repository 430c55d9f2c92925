import { open, type FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import koffi from 'koffi';
import { internal } from '#kernel';

const libc = koffi.load('libc.so.6');
const nativeIoctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const names = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]));

const directionShift = 2 ** 30;

/** A request number as the kernel's `_IOC` macro makes it: `direction` 0 none, 1 write, 2 read, 3 both. */
export function ioctlNumber(direction: 0 | 1 | 2 | 3, type: number, number: number, sizeBytes: number): number {
  return direction * directionShift + sizeBytes * 0x10000 + type * 0x100 + number;
}

/** A failed system call; `code` is the errno's name (`ENOTEMPTY`). */
export interface SystemCallError extends Error {
  readonly code: string;
}

/** Buffers the kernel may still read or write: koffi holds only their address, and the collector would free them during the call. */
const inUse = new Set<{ readonly argument: Buffer | null }>();

/** Runs an ioctl in koffi's thread pool, so that a slow one (a btrfs transaction) does not stop the event loop. */
export async function ioctl(fd: number, request: number, argument: Buffer | null, what: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const use = { argument };
  inUse.add(use);
  nativeIoctl.async(fd, request, argument, (error: unknown, result: number) => {
    // errno belongs to the thread that made the call; koffi restores it for the callback.
    const errno = koffi.errno();
    inUse.delete(use);
    if (error) reject(error);
    else if (result >= 0) resolve(result);
    else reject(systemCallError(what, errno));
  });
  return promise;
}

export function systemCallError(what: string, errno: number): SystemCallError {
  const code = names.get(errno) ?? `errno ${errno}`;
  return Object.assign(internal(`${what}: ${code}`, { details: { code } }), { code });
}

/** The errno's name of a failed system call, from here or from node:fs; empty for other errors. */
export function errnoName(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Opens a directory that must not be a symbolic link itself, and closes it after `work`. */
export async function withDirectory<T>(path: string, work: (fd: number) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return await work(handle.fd);
  } finally {
    await handle?.close();
  }
}
