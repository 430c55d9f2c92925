import { invalid } from './errors.js';

/** Random bytes come from Web Crypto, the only source of randomness `kernel` may touch. */
export function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');
}

export function newUuid(): string {
  return crypto.randomUUID();
}

const memberDigits = 4;

/**
 * A random UUID (version 4) whose last group starts with the number of the member that owns the operation (1 to 65535),
 * so that any member can route a request for it without a look-up (hazards D3).
 */
export function newOperationId(memberId: number): string {
  if (!Number.isInteger(memberId) || memberId < 1 || memberId > 0xffff) throw invalid(`Invalid member number ${memberId}`);
  const uuid = crypto.randomUUID();
  return uuid.slice(0, 24) + memberId.toString(16).padStart(memberDigits, '0') + uuid.slice(24 + memberDigits);
}

/** The member number inside an operation id, or null if the text is no UUID. */
export function memberOfOperation(id: string): number | null {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id)) return null;
  return Number.parseInt(id.slice(24, 24 + memberDigits), 16);
}
