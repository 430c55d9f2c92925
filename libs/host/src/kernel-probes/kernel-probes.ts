import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import koffi from 'koffi';
import { decodeMessages, encodeMessage, NLM_F_DUMP, NLM_F_REQUEST, RTM_GETADDR } from '../netlink/netlink-message.js';
import { openSocket, receiveBytes, sendBytes, setSocketOption } from '../syscalls/syscalls.js';

const libc = koffi.load('libc.so.6');
const calls = {
  seccomp: libc.func('long syscall(long number, uint operation, uint flags, const void *argument)'),
  mountSetattr: libc.func('long syscall(long number, int fd, const char *path, uint flags, void *attributes, ulong size)'),
  fsetxattr: libc.func('int fsetxattr(int fd, const char *name, const void *value, ulong size, int flags)'),
};

const SYS_seccomp = process.arch === 'arm64' ? 277 : 317;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_GET_ACTION_AVAIL = 2;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 1 << 4;
const SYS_mount_setattr = 442;

/** Whether a seccomp filter may hand system calls to another process (Linux 5.0). */
export function seccompListenerWorks(): boolean {
  const action = Buffer.alloc(4);
  action.writeUInt32LE(SECCOMP_RET_USER_NOTIF);
  return Number(calls.seccomp(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, action)) === 0;
}

/**
 * Whether that process may let the call go on (Linux 5.5). The kernel has no question for it that does not put a filter on a thread for
 * good, so it is asked for the next thing that was added to the same interface (5.7): a known flag gets as far as reading the missing
 * filter (EFAULT), an unknown one does not (EINVAL).
 */
export function seccompContinueWorks(): boolean {
  if (!seccompListenerWorks()) return false;
  return Number(calls.seccomp(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC_ESRCH, null)) < 0 && koffi.errno() === koffi.os.errno.EFAULT;
}

/** Whether the kernel knows mount_setattr (Linux 5.12), which is what idmapped mounts are made with. */
export function mountSetattrExists(): boolean {
  return Number(calls.mountSetattr(SYS_mount_setattr, -1, '', 0, null, 0)) === 0 || koffi.errno() !== koffi.os.errno.ENOSYS;
}

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NETLINK_KOBJECT_UEVENT = 15;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const IFA_TARGET_NETNSID = 10;
const absentNamespaceId = 0x7ffffff0;
const addressHeaderBytes = 8;

/** Whether the kernel takes uevents from user space (Linux 4.18): a message too short to mean anything is accepted, or there is nobody to take it. */
export function ueventInjectionWorks(): boolean {
  return probe(() => withNetlink(NETLINK_KOBJECT_UEVENT, (fd) => {
    sendBytes(fd, Buffer.alloc(1));
    return true;
  }));
}

/**
 * Whether addresses of another network namespace can be listed by its id (Linux 4.20). An id that nobody has is asked for: a kernel that
 * knows the question complains about the namespace, another one about the attribute or not at all.
 */
export function namespaceAddressesWork(): boolean {
  return probe(() => withNetlink(NETLINK_ROUTE, (fd) => {
    setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, int32(1));
    setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, int32(1));
    setSocketOption(fd, SOL_SOCKET, SO_RCVTIMEO, Buffer.concat([Buffer.from([1]), Buffer.alloc(15)]));
    const header = Buffer.alloc(addressHeaderBytes);
    header.writeUInt8(AF_INET);
    sendBytes(fd, encodeMessage(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, header, [[IFA_TARGET_NETNSID, absentNamespaceId]]));
    const answer = Buffer.alloc(8192);
    const [first] = decodeMessages(answer.subarray(0, receiveBytes(fd, answer)));
    return first !== undefined && first.payload.toString('latin1').includes('network namespace');
  }));
}

const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/** struct vfs_ns_cap_data: revision 3 with one capability, valid in the user namespace whose root is the host's id 1000000. */
const namespacedCapability = Buffer.from([1, 0, 0, 3, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0]);

/** Whether files in `directory` can carry capabilities that count in one user namespace only (Linux 4.14). Leaves nothing behind. */
export function namespacedFileCapabilitiesWork(directory: string): boolean {
  return probe(() => {
    const fd = openUnnamed(directory);
    try {
      return calls.fsetxattr(fd, 'security.capability', namespacedCapability, namespacedCapability.length, 0) === 0;
    } finally {
      closeSync(fd);
    }
  });
}

function openUnnamed(directory: string): number {
  try {
    return openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    // Not every file system has files without a name.
    const path = `${directory}/.probe-${process.pid}`;
    const fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
    unlinkSync(path);
    return fd;
  }
}

function withNetlink<T>(protocol: number, work: (fd: number) => T): T {
  const fd = openSocket(AF_NETLINK, SOCK_RAW, protocol);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** A refused system call is the answer "no". */
function probe(work: () => boolean): boolean {
  try {
    return work();
  } catch {
    return false;
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
