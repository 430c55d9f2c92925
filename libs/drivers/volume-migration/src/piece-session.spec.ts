import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internal } from '#kernel';
import { PieceSession } from './piece-session.js';

const piece = { snapshot: '', format: 'rsync' as const, xattrs: true, delete: true, compress: true, bandwidth: '', inconsistent: false };

describe('the pieces of a volume', () => {
  let root: string;
  let session: PieceSession;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'roost-session-'));
    session = new PieceSession({ directory: `${root}/s`, endpointUid: process.getuid!(), endpointGid: process.getgid!() });
  });
  afterEach(() => {
    session.finish(undefined);
    rmSync(root, { recursive: true, force: true });
  });

  it('are waited for when they have failed before, and say why', async () => {
    const work = session.serve(() => Promise.reject(internal('No space left on device')));
    const failed = expect(work).rejects.toThrow('No space left on device');
    session.open(piece);
    await expect(session.wait()).rejects.toThrow('No space left on device');
    await failed;

    await expect(session.wait()).rejects.toThrow('No space left on device');
    session.finish(internal('No space left on device'));
    expect(() => session.open(piece)).toThrow('No space left on device');
  });

  it('are waited for when they are through', async () => {
    const work = session.serve(async () => undefined);
    session.open(piece);

    await session.wait();
    await session.wait();

    session.end();
    await work;
    session.finish(undefined);
    await expect(session.wait()).resolves.toBeUndefined();
  });

  it('keep what is said at once for whoever opens the pipes later', async () => {
    const served = expect(session.serve(async (_, { output }) => { writeSync(output, 'all there is'); })).resolves.toBeUndefined();
    const { input, output } = session.open(piece);

    // A program that has begun would be done by now.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    const [reader, writer] = await Promise.all([open(output, 'r'), open(input, 'w')]);
    const [said] = await Promise.all([reader.readFile('utf8'), session.wait()]);
    await Promise.all([reader.close(), writer.close()]);

    expect(said).toBe('all there is');
    session.end();
    await served;
  });
});
