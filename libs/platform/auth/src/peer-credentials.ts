import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

const solSocket = 1;
const soPeercred = 17;

type GetSockOpt = (fd: number, level: number, option: number, value: Buffer, length: Buffer) => number;
let getSockOpt: GetSockOpt | null | undefined;

/**
 * Name of the user at the other end of a unix socket, as the kernel recorded it when the connection was made; the number where
 * /etc/passwd has no name, empty where it cannot be told. Read only when an event, a log line or an operation needs it.
 *
 * The daemon may not import `#host`, so this one call stays here. `node:ffi` is experimental, hence every failure means "unknown":
 * nothing is decided by the name, the socket's mode guards the API.
 */
export function peerUserName(socket: Socket): string {
  const uid = peerUid(socket);
  return uid === null ? '' : userName(uid);
}

/** Loads the call. Node says once per process that the module is experimental; operators can do nothing about that. */
export function preparePeerCredentials(): void {
  if (getSockOpt !== undefined) return;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    const ffi = process.getBuiltinModule('node:ffi') as unknown as FfiModule;
    const libc = ffi.dlopen(null, {
      getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
    });
    getSockOpt = wrap(ffi, libc.functions.getsockopt);
  } catch {
    getSockOpt = null;
  } finally {
    process.emitWarning = emitWarning;
  }
}

interface FfiModule {
  dlopen(path: string | null, functions: Record<string, unknown>): { functions: Record<string, (...args: unknown[]) => unknown> };
  getRawPointer(buffer: Buffer): bigint;
}

function wrap(ffi: FfiModule, call: ((...args: unknown[]) => unknown) | undefined): GetSockOpt | null {
  if (call === undefined) return null;
  return (fd, level, option, value, length) => Number(call(fd, level, option, ffi.getRawPointer(value), ffi.getRawPointer(length)));
}

function peerUid(socket: Socket): number | null {
  const fd = (socket as Socket & { _handle?: { fd?: number } | null })._handle?.fd;
  if (!getSockOpt || fd === undefined || fd < 0) return null;
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeInt32LE(credentials.length);
  try {
    return getSockOpt(fd, solSocket, soPeercred, credentials, length) === 0 ? credentials.readUInt32LE(4) : null;
  } catch {
    return null;
  }
}

const names = new Map<number, string>();

function userName(uid: number): string {
  const known = names.get(uid);
  if (known !== undefined) return known;
  let name = String(uid);
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const fields = line.split(':');
      if (fields[2] === name && fields[0]) {
        name = fields[0];
        break;
      }
    }
  } catch {
    // Without a readable passwd the number is the name.
  }
  names.set(uid, name);
  return name;
}
