import type { Readable } from 'node:stream';
import { invalid, type AppError } from '#kernel';

/** Largest JSON body, bytes. LXD has no limit; a client that sends more than this is broken or hostile. */
export const maxJsonBytes = 100 * 1024 * 1024;

function tooLarge(): AppError {
  return invalid('http: request body too large', { details: { httpStatus: 413 } });
}

/**
 * Reads a body as text. Too much of it (413) is refused as soon as it is known; the rest is then thrown away unread, because
 * closing the connection at once would take the answer with it.
 */
export function readText(payload: Readable, declaredSize: number | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const refuse = (): void => {
      payload.removeAllListeners('data');
      payload.resume();
      reject(tooLarge());
    };
    if (declaredSize !== null && declaredSize > maxJsonBytes) return refuse();
    payload.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxJsonBytes) refuse();
      else chunks.push(chunk);
    });
    payload.once('error', reject);
    payload.once('end', () => resolve(chunks.length === 1 ? (chunks[0]?.toString('utf8') ?? '') : Buffer.concat(chunks).toString('utf8')));
  });
}
