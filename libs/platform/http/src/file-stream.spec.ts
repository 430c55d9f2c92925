import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileStream, type BodyPart } from './file-stream.js';

const folder = mkdtempSync(`${tmpdir()}/roost-file-stream-`);
const socketPath = `${folder}/socket`;
const [large, small] = [randomBytes(5_300_001), randomBytes(77)];
const files = { large: `${folder}/large`, small: `${folder}/small` };
let parts: BodyPart[] = [];
const server = createServer((_request, response) => void new FileStream(parts).on('error', () => response.destroy()).pipe(response));

beforeAll(async () => {
  writeFileSync(files.large, large);
  writeFileSync(files.small, small);
  await new Promise<void>((done) => server.listen(socketPath, done));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** The body's hash, taken by a reader that stops for a while now and then. */
function received(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const hash = createHash('sha256');
  let count = 0;
  request({ socketPath, agent: false }, (response) => {
    response.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      if (++count % 20 !== 0) return;
      response.pause();
      setTimeout(() => response.resume(), 2);
    });
    response.on('end', () => resolve(hash.digest('hex')));
    response.on('error', reject);
  }).end();
  return promise;
}

const hashOf = (...buffers: Buffer[]): string => createHash('sha256').update(Buffer.concat(buffers)).digest('hex');

describe('FileStream', () => {
  it('sends files and bytes in order, although buffers are used again and the reader is slow', async () => {
    parts = [
      Buffer.from('head'), { path: files.small, first: 0, bytes: 77 }, Buffer.from('middle'), { path: files.large, first: 0, bytes: large.length },
      { path: files.small, first: 7, bytes: 10 }, Buffer.from('tail'),
    ];

    expect(await received()).toBe(hashOf(Buffer.from('head'), small, Buffer.from('middle'), large, small.subarray(7, 17), Buffer.from('tail')));
  });

  it('sends a range', async () => {
    parts = [{ path: files.large, first: 1_000_000, bytes: 2_000_000 }];

    expect(await received()).toBe(hashOf(large.subarray(1_000_000, 3_000_000)));
  });

  it('breaks the transfer when a file is shorter than it was', async () => {
    parts = [{ path: files.small, first: 0, bytes: 1000 }];

    await expect(received()).rejects.toThrow();
  });
});
