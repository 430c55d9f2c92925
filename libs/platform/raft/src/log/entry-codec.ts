import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { internal } from '#kernel';
import type { LogEntry, LogHead } from './replicated-log.js';

const newline = 0x0a;

/** Larger payloads are packed: changesets repeat themselves, and a small one is not worth the time. */
const packFrom = 16 * 1024;
const fast = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

type Header = Omit<LogEntry, 'payload'> & { readonly packed?: 'zstd' };

/** One line of JSON with everything but the payload, then the payload as it is, or packed where the line says so. */
export function encodeEntry(entry: LogEntry): Buffer {
  const { payload, ...fields } = entry;
  const packed = payload.length >= packFrom ? zstdCompressSync(payload, fast) : null;
  const header: Header = packed === null ? fields : { ...fields, packed: 'zstd' };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), packed ?? payload]);
}

export function decodeEntry(bytes: Buffer): LogEntry {
  const end = bytes.indexOf(newline);
  if (end < 0) throw internal('An entry of the log cannot be read');
  const { packed, ...header } = JSON.parse(bytes.toString('utf8', 0, end)) as Header;
  const payload = bytes.subarray(end + 1);
  return { ...header, payload: new Uint8Array(packed === 'zstd' ? zstdDecompressSync(payload) : payload) };
}

/** Fields in a fixed order: an append compares the bytes. */
export function encodeHead({ incarnation, index, hash, level }: LogHead): Buffer {
  return Buffer.from(JSON.stringify({ incarnation, index, hash, level }));
}

export function decodeHead(bytes: Buffer): LogHead {
  return JSON.parse(bytes.toString('utf8')) as LogHead;
}
