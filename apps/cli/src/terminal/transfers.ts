import { createReadStream, statSync } from 'node:fs';
import { Transform, Writable, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { unavailable } from '#kernel';
import { ExitCode, type Invocation } from '../invocation.js';
import { openDestination } from './destination.js';
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
export async function sendCounted<T>(invocation: Invocation, what: string, length: number | undefined, body: Readable, send: (stream: Readable) => Promise<T>): Promise<T> {
  const progress = new Progress(invocation.terminal, what, invocation.flags.bool('quiet'));
  const startedAt = performance.now();
  const counted = body.pipe(counter((total) => progress.bytes(total, length, startedAt)));
  body.once('error', (error) => counted.destroy(error));
  // A request that was refused reads no more of it, and so hears of nothing.
  counted.on('error', () => undefined);
  try {
    return await send(counted);
  } finally {
    progress.end();
    body.destroy();
  }
}

/** Standard output, which stays open; what was written to it has left when it is finished. */
function standardOutput({ terminal }: Invocation): Writable {
  return new Writable({ write: (chunk: Buffer, _encoding, done) => { terminal.stdout.write(chunk, done); } });
}

/**
 * Writes a stream to a file, which is there when all has come: what breaks off, or is interrupted, leaves nothing behind. `-` is standard output. Throws
 * `unavailable` when less comes than was announced.
 */
export async function receiveFile(invocation: Invocation, what: string, length: number | undefined, content: Readable, path: string, mode?: number): Promise<void> {
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
      await pipeline(content, counted, standardOutput(invocation));
      return complete();
    }
    const destination = await openDestination(path, mode);
    const stopListening = onInterrupt((code) => content.destroy(new ExitCode(code)));
    try {
      await pipeline(content, counted, destination.stream);
      complete();
      destination.finish();
    } catch (error) {
      destination.giveUp();
      throw error;
    } finally {
      stopListening();
    }
  } finally {
    progress.end();
  }
}

const interrupts = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Calls `end` with the exit code a shell would see, the first time somebody wants this program to end; the second time it does. Returns how to stop. */
function onInterrupt(end: (code: number) => void): () => void {
  const handlers = Object.entries(interrupts).map(([signal, code]) => [signal, (): void => end(code)] as const);
  for (const [signal, handler] of handlers) process.once(signal, handler);
  return () => { for (const [signal, handler] of handlers) process.off(signal, handler); };
}

/** What is in a file, and how much that is where it is known: of a pipe it is not. */
export function contentOf(path: string): { readonly body: Readable; readonly length: number | undefined } {
  return { body: createReadStream(path), length: lengthOf(path) };
}

export function lengthOf(path: string): number | undefined {
  const found = statSync(path);
  return found.isFile() ? found.size : undefined;
}

/** The header that announces a length, where it is known. */
export function lengthHeader(length: number | undefined): Readonly<Record<string, string>> {
  return length === undefined ? {} : { 'content-length': String(length) };
}
