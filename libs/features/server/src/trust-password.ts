import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number, options: { N: number; r: number; p: number }) => Promise<Buffer>;
const cost = { N: 1 << 14, r: 8, p: 1 };
const saltBytes = 32;
const hashBytes = 64;

/** The form in which the password is stored: salt and scrypt hash, together as hex (LXD's form). */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  return Buffer.concat([salt, await derive(password, salt, hashBytes, cost)]).toString('hex');
}

/** Whether a password is the stored one. Takes tens of milliseconds, off the event loop. */
export async function verifyPassword(stored: string, password: string): Promise<boolean> {
  const bytes = Buffer.from(stored, 'hex');
  if (bytes.length !== saltBytes + hashBytes) return false;
  const hash = await derive(password, bytes.subarray(0, saltBytes), hashBytes, cost);
  return timingSafeEqual(hash, bytes.subarray(saltBytes));
}
