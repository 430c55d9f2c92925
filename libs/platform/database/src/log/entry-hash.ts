import { createHash } from 'node:crypto';
import type { LogEntry } from '#platform/raft';

/** SHA-256 over every other field. The separator occurs in none of them but the payload, which comes last. */
export function hashEntry(entry: Omit<LogEntry, 'hash'>): string {
  const header = [entry.incarnation, entry.index, entry.id, entry.time, entry.member, entry.requestor, entry.level, entry.layoutHash, entry.previous, entry.kind];
  return createHash('sha256').update(`${header.join('\n')}\n`).update(entry.payload).digest('hex');
}

export function sealEntry(entry: Omit<LogEntry, 'hash'>): LogEntry {
  return { ...entry, hash: hashEntry(entry) };
}
