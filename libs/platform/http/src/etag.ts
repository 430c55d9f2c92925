import { createHash } from 'node:crypto';
import { precondition } from '#kernel';
import { encodeCanonicalJson } from '#api-types';

/** SHA-256, as hex, over the fields that make up an ETag. Order of keys inside objects does not matter. */
export function etagOf(fields: unknown): string {
  return createHash('sha256').update(`${encodeCanonicalJson(fields)}\n`).digest('hex');
}

/**
 * Compare a request's `If-Match` with the current state; no header means no check. Call it inside the transaction that writes
 * (hazards D1). Throws `precondition` (412) with LXD's wording.
 */
export function checkEtag(ifMatch: string | undefined, fields: unknown): void {
  if (ifMatch === undefined || ifMatch === '') return;
  const match = ifMatch.replace(/^"+|"+$/g, '');
  const current = etagOf(fields);
  if (current !== match) throw precondition(`ETag doesn't match: ${current} vs ${match}`);
}
