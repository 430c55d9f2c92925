import type { Readable } from 'node:stream';
import { unavailable } from '#kernel';
import { longestAnswer } from './exchange.js';

/** Reads a whole body as text; `unavailable` beyond `maxBytes`. */
export async function readText(stream: Readable, maxBytes = longestAnswer): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw unavailable(`The answer is longer than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
