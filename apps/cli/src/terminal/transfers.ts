import { createWriteStream, renameSync, rmSync } from 'node:fs';
import { PassThrough, Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { unavailable } from '#kernel';
import type { Invocation } from '../invocation.js';
import { Progress } from './progress.js';

/** Counts what passes. */
function counter(onBytes: (total: number) => void): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      onBytes(total);
      done(null, chunk);
    },
  });
}

/** Sends a stream and shows how far it is. A source that breaks fails the request. */
export async function sendCounted<T>(invocation: Invocation, what: string, length: number, body: Readable, send: (stream: Readable) => Promise<T>): Promise<T> {
  const progress = new Progress(invocation.terminal, what, invocation.flags.bool('quiet'));
  const startedAt = performance.now();
  const counted = body.pipe(counter((total) => progress.bytes(total, length, startedAt)));
  body.once('error', (error) => counted.destroy(error));
  try {
    return await send(counted);
  } finally {
    progress.end();
    body.destroy();
  }
}

/**
 * Writes a stream to a file, under another name until it is whole: what breaks off leaves nothing behind. `-` is standard output. Throws
 * `unavailable` when less comes than was announced.
 */
export async function receiveFile(invocation: Invocation, what: string, length: number | undefined, content: Readable, path: string): Promise<void> {
  const progress = new Progress(invocation.terminal, what, invocation.flags.bool('quiet'));
  const startedAt = performance.now();
  let received = 0;
  const counted = counter((total) => {
    received = total;
    progress.bytes(total, length, startedAt);
  });
  const complete = (): void => {
    if (length !== undefined && length > 0 && received !== length) throw unavailable(`The answer ended after ${received} of ${length} bytes`);
  };
  try {
    if (path === '-') {
      const through = new PassThrough();
      through.on('data', (chunk: Buffer) => {
        if (invocation.terminal.stdout.write(chunk)) return;
        through.pause();
        invocation.terminal.stdout.once('drain', () => through.resume());
      });
      await pipeline(content, counted, through);
      return complete();
    }
    const partial = `${path}.partial-${process.pid}`;
    try {
      await pipeline(content, counted, createWriteStream(partial, { mode: 0o600 }));
      complete();
      renameSync(partial, path);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
  } finally {
    progress.end();
  }
}
