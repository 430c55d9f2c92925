import { closeSync, openSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const calls = {
  dlsym: libc.func('void *dlsym(void *handle, const char *name)'),
  mmap: libc.func('uint64 mmap(uint64 address, uint64 length, int protection, int flags, int fd, long offset)'),
  munmap: libc.func('int munmap(uint64 address, uint64 length)'),
  clone: libc.func('int clone(void *work, uint64 stackTop, int flags, void *argument)'),
  waitpid: libc.func('int waitpid(int pid, void *status, int options)'),
  openTree: libc.func('long syscall(long number, int directory, const char *path, uint flags)'),
  mountSetattr: libc.func('long syscall(long number, int fd, const char *path, uint flags, const void *attributes, ulong size)'),
};

/** The same on x86_64 and aarch64. */
const SYS_open_tree = 428;
const SYS_mount_setattr = 442;

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const MOUNT_ATTR_IDMAP = 0x100000n;
const mountAttributeBytes = 32;

const CLONE_VM = 0x100;
const CLONE_VFORK = 0x4000;
const CLONE_NEWUSER = 0x10000000;
const WCLONE = 0x80000000 | 0;
const stackBytes = 64 * 1024;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS_STACK = 0x20022;

/**
 * Whether the file system of `path` lets a mount map its ids: a detached copy of its mount is made, given a mapping, and dropped. Nothing
 * is attached anywhere. Takes a fraction of a millisecond; false where the kernel, the file system or our privileges do not allow it.
 */
export function idmappedMountsWork(path: string): boolean {
  const namespace = openUserNamespace();
  if (namespace === null) return false;
  try {
    const tree = Number(calls.openTree(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC));
    if (tree < 0) return false;
    try {
      return setIdmap(tree, namespace);
    } finally {
      closeSync(tree);
    }
  } finally {
    closeSync(namespace);
  }
}

function setIdmap(tree: number, namespace: number): boolean {
  const attributes = Buffer.alloc(mountAttributeBytes);
  attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
  attributes.writeBigUInt64LE(BigInt(namespace), 24);
  return Number(calls.mountSetattr(SYS_mount_setattr, tree, '', AT_EMPTY_PATH, attributes, mountAttributeBytes)) === 0;
}

/**
 * A user namespace with one id mapped. A process with threads cannot make one for itself, so a task is cloned that shares our memory,
 * calls a function of the C library that does nothing, and ends before we go on; its namespace can still be opened until we reap it.
 * No signal tells of its end, so that nobody else who waits for children sees it.
 */
function openUserNamespace(): number | null {
  const stack = calls.mmap(0, stackBytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_STACK, -1, 0) as number;
  if (stack < 0) return null;
  try {
    const pid = calls.clone(calls.dlsym(null, 'abs'), stack + stackBytes, CLONE_NEWUSER | CLONE_VM | CLONE_VFORK, null) as number;
    if (pid < 0) return null;
    try {
      writeFileSync(`/proc/${pid}/uid_map`, '0 1000000 1');
      writeFileSync(`/proc/${pid}/gid_map`, '0 1000000 1');
      return openSync(`/proc/${pid}/ns/user`, 'r');
    } catch {
      return null;
    } finally {
      calls.waitpid(pid, null, WCLONE);
    }
  } finally {
    calls.munmap(stack, stackBytes);
  }
}
