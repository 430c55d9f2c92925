/** `RWF_NOWAIT`: only what is in memory already. */
const nowait = 8;
const vectorBytes = 16;

type Read = (fd: number, into: Buffer, bytes: number, position: number) => number;
let read: Read | null | undefined;

interface FfiModule {
  dlopen(path: string | null, functions: Record<string, unknown>): { functions: Record<string, (...args: unknown[]) => unknown> };
  getRawPointer(buffer: Buffer): bigint;
}

/**
 * Reads a part of a file at once if it lies in memory; returns how many bytes, 0 at the end of the file, and null when the disk would have to be waited for: then
 * a thread of the pool has to do it, which takes many times as long on a busy machine. Never blocks.
 *
 * The daemon may not import `#host`, so this one call stays here. `node:ffi` is experimental, hence every failure means null.
 */
export function readCached(fd: number, into: Buffer, bytes: number, position: number): number | null {
  if (read === undefined) read = load();
  if (read === null) return null;
  const count = read(fd, into, bytes, position);
  return count < 0 ? null : count;
}

/** Node says once per process that the module is experimental; operators can do nothing about that. */
function load(): Read | null {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    const ffi = process.getBuiltinModule('node:ffi') as unknown as FfiModule;
    const call = ffi.dlopen(null, { preadv2: { arguments: ['i32', 'pointer', 'i32', 'i64', 'i32'], return: 'i64' } }).functions['preadv2'];
    if (call === undefined) return null;
    return (fd, into, bytes, position) => {
      const vector = Buffer.alloc(vectorBytes);
      vector.writeBigUInt64LE(ffi.getRawPointer(into), 0);
      vector.writeBigUInt64LE(BigInt(Math.min(bytes, into.length)), 8);
      return Number(call(fd, ffi.getRawPointer(vector), 1, BigInt(position), nowait));
    };
  } catch {
    return null;
  } finally {
    process.emitWarning = emitWarning;
  }
}
