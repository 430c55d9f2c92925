import { internal } from '#kernel';
import type { LogEntry, LogHead } from './replicated-log.js';

const newline = 0x0a;

/** One line of JSON with everything but the payload, then the payload as it is. */
export function encodeEntry(entry: LogEntry): Buffer {
  const { payload, ...header } = entry;
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), payload]);
}

export function decodeEntry(bytes: Buffer): LogEntry {
  const end = bytes.indexOf(newline);
  if (end < 0) throw internal('An entry of the log cannot be read');
  const header = JSON.parse(bytes.toString('utf8', 0, end)) as Omit<LogEntry, 'payload'>;
  return { ...header, payload: new Uint8Array(bytes.subarray(end + 1)) };
}

/** Fields in a fixed order: an append compares the bytes. */
export function encodeHead({ incarnation, index, hash, level }: LogHead): Buffer {
  return Buffer.from(JSON.stringify({ incarnation, index, hash, level }));
}

export function decodeHead(bytes: Buffer): LogHead {
  return JSON.parse(bytes.toString('utf8')) as LogHead;
}
