import koffi from 'koffi';
import { systemCallError } from '../ioctl/ioctl.js';

const libc = koffi.load('libc.so.6');
const calls = {
  mkfifo: libc.func('int mkfifo(const char *path, uint mode)'),
  pipe2: libc.func('int pipe2(_Out_ int *ends, int flags)'),
  renameat2: libc.func('int renameat2(int from, const char *path, int to, const char *other, uint flags)'),
  mknod: libc.func('int mknod(const char *path, uint mode, ulong device)'),
  mount: libc.func('int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)'),
  umount2: libc.func('int umount2(const char *target, int flags)'),
  setns: libc.func('int setns(int fd, int kind)'),
  flock: libc.func('int flock(int fd, int operation)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  send: libc.func('long send(int fd, const void *bytes, ulong length, int flags)'),
  recv: libc.func('long recv(int fd, _Out_ void *bytes, ulong length, int flags)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint length)'),
  openat2: libc.func('long syscall(long number, int directory, const char *path, const void *how, ulong size)'),
  pidfdOpen: libc.func('long syscall(long number, int pid, uint flags)'),
  pidfdSendSignal: libc.func('long syscall(long number, int fd, int signal, void *info, uint flags)'),
};

/** Numbers of calls without a wrapper in Debian 12's C library; the same on x86_64 and aarch64. */
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
const SYS_openat2 = 437;

export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x40000;
export const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const CLONE_NEWNET = 0x40000000;

/** Every call here either succeeds or throws a `SystemCallError` whose `code` is the errno's name. */
function checked(result: number, what: string): number {
  if (result < 0) throw systemCallError(what, koffi.errno());
  return result;
}

export function makeFifo(path: string, mode: number): void {
  checked(calls.mkfifo(path, mode), `Failed to make the FIFO "${path}"`);
}

const O_CLOEXEC = 0o2000000;

/** A pipe between two programs; both ends are the caller's to close. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const ends: [number, number] = [-1, -1];
  checked(calls.pipe2(ends, O_CLOEXEC), 'Failed to make a pipe');
  return { read: ends[0], write: ends[1] };
}

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;

/** Each of the two gets the other's name, at one moment. */
export function exchangeNames(path: string, other: string): void {
  checked(calls.renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE), `Failed to exchange "${path}" and "${other}"`);
}

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/** A device node for nobody; its mode is set when its owner is. */
export function makeNode(path: string, kind: 'c' | 'b', major: number, minor: number): void {
  const [high, low] = [BigInt(major), BigInt(minor)];
  // As the C library packs device numbers.
  const device = ((high & 0xfffn) << 8n) | ((high & 0xfffff000n) << 32n) | (low & 0xffn) | ((low & 0xffffff00n) << 12n);
  checked(calls.mknod(path, kind === 'c' ? S_IFCHR : S_IFBLK, device), `Failed to create device ${path}`);
}

/** mount(2) with `MS_*` flags; `type` and `data` as the file system wants them, empty for a bind mount. */
export function mountCall(source: string, target: string, type: string, flags: number, data = ''): void {
  checked(calls.mount(source, target, type, flags, data), `Failed to mount "${source}" on "${target}"`);
}

/** Takes the mount away even when it is in use. Nothing mounted, or nothing there, is success. */
export function detachMount(target: string): void {
  if (calls.umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.EINVAL || errno === koffi.os.errno.ENOENT) return;
  throw systemCallError(`Failed to unmount "${target}"`, errno);
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes an exclusive lock that lasts as long as the descriptor; false when another process has it. */
export function tryLockFile(fd: number): boolean {
  if (calls.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.EWOULDBLOCK || errno === koffi.os.errno.EAGAIN) return false;
  throw systemCallError('Failed to lock a file', errno);
}

/**
 * Runs `work` with this thread in another network namespace. `work` must be synchronous: the thread is Node's main thread, and
 * everything that ran meanwhile would see the wrong network. A socket made inside stays in that namespace.
 */
export function inNetworkNamespace<T>(own: number, other: number, work: () => T): T {
  checked(calls.setns(other, CLONE_NEWNET), 'Failed to enter a network namespace');
  try {
    return work();
  } finally {
    // Staying in a foreign namespace would send everything after this astray: better to die and be started again.
    if (calls.setns(own, CLONE_NEWNET) !== 0) process.abort();
  }
}

const SOCK_CLOEXEC = 0x80000;

export function openSocket(domain: number, type: number, protocol: number): number {
  return checked(calls.socket(domain, type | SOCK_CLOEXEC, protocol), 'Failed to open a socket');
}

export function setSocketOption(fd: number, level: number, name: number, value: Buffer): void {
  checked(calls.setsockopt(fd, level, name, value, value.length), 'Failed to set a socket option');
}

export function sendBytes(fd: number, bytes: Buffer): void {
  checked(Number(calls.send(fd, bytes, bytes.length, 0)), 'Failed to send');
}

/** Waits for one message; returns its length. */
export function receiveBytes(fd: number, into: Buffer): number {
  return checked(Number(calls.recv(fd, into, into.length, 0)), 'Failed to receive');
}

const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_BENEATH = 0x08;

/**
 * A descriptor (`O_PATH`) of what `path` names below an open directory. Links are followed as long as they stay below it; absolute ones, `..` beyond
 * it and the links of /proc that stand for open files are refused with EXDEV or ELOOP, whoever changes what meanwhile.
 */
export function openBeneath(directory: number, path: string): number {
  return openResolved(directory, path, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

/** A descriptor (`O_PATH`) of what a path of the host names. The links of /proc that stand for open files, or roots of processes, are refused with ELOOP. */
export function openPath(path: string): number {
  return openResolved(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS);
}

function openResolved(directory: number, path: string, resolve: number): number {
  const how = new BigUint64Array([BigInt(O_PATH | O_CLOEXEC), 0n, BigInt(resolve)]);
  for (let tries = 1; ; tries++) {
    const fd = Number(calls.openat2(SYS_openat2, directory, path, how, how.byteLength));
    if (fd >= 0) return fd;
    const errno = koffi.errno();
    // Something was renamed meanwhile, and the kernel could not tell whether it led out.
    if (errno !== koffi.os.errno.EAGAIN || tries > 40) throw systemCallError(`Failed to open "${path}"`, errno);
  }
}

/** A descriptor that stays with this very process, whatever happens to its number; null when there is no such process. */
export function openPidfd(pid: number): number | null {
  const fd = Number(calls.pidfdOpen(SYS_pidfd_open, pid, 0));
  if (fd >= 0) return fd;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.ESRCH || errno === koffi.os.errno.EINVAL) return null;
  throw systemCallError(`Failed to open process ${pid}`, errno);
}

/** False when the process is gone. */
export function signalPidfd(fd: number, signal: number): boolean {
  if (Number(calls.pidfdSendSignal(SYS_pidfd_send_signal, fd, signal, null, 0)) === 0) return true;
  const errno = koffi.errno();
  if (errno === koffi.os.errno.ESRCH) return false;
  throw systemCallError('Failed to signal a process', errno);
}
