import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDestination, type Destination } from './destination.js';

let directory: string;
beforeEach(() => { directory = mkdtempSync(`${tmpdir()}/roost-destination-`); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => `${directory}/${name}`;

async function write(path: string, mode?: number): Promise<Destination> {
  const destination = await openDestination(path, mode);
  await pipeline(Readable.from(['new']), destination.stream);
  return destination;
}

describe('a destination', () => {
  it('is there when it is finished, as the user has files', async () => {
    const destination = await write(at('file'));
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^file\.partial-/)]);
    destination.finish();
    expect([readFileSync(at('file'), 'utf8'), statSync(at('file')).mode & 0o777]).toEqual(['new', 0o666 & ~process.umask()]);
  });

  it('leaves what was there when it is given up, and keeps its mode when not', async () => {
    writeFileSync(at('file'), 'old');
    chmodSync(at('file'), 0o640);
    (await write(at('file'))).giveUp();
    expect([readFileSync(at('file'), 'utf8'), readdirSync(directory)]).toEqual(['old', ['file']]);
    (await write(at('file'))).finish();
    expect([readFileSync(at('file'), 'utf8'), statSync(at('file')).mode & 0o777]).toEqual(['new', 0o640]);
    (await write(at('file'), 0o4755)).finish();
    expect(statSync(at('file')).mode & 0o7777).toBe(0o4755);
  });

  it('is what a link leads to, there or not', async () => {
    mkdirSync(at('sub'));
    writeFileSync(at('sub/file'), 'old');
    symlinkSync('sub/file', at('link'));
    symlinkSync('sub/none', at('dangling'));
    for (const name of ['link', 'dangling']) {
      (await write(at(name))).finish();
      expect([lstatSync(at(name)).isSymbolicLink(), readFileSync(at(name), 'utf8')]).toEqual([true, 'new']);
    }
    expect(readdirSync(at('sub')).sort()).toEqual(['file', 'none']);
  });

  it('is a pipe that stays one', async () => {
    execFileSync('mkfifo', ['-m', '600', at('pipe')]);
    const read = readFile(at('pipe'), 'utf8');
    (await write(at('pipe'), 0o755)).finish();
    expect(await read).toBe('new');
    expect([statSync(at('pipe')).isFIFO(), statSync(at('pipe')).mode & 0o777, readdirSync(directory)]).toEqual([true, 0o600, ['pipe']]);
  });

  it('is refused where there can be none', async () => {
    writeFileSync(at('file'), '');
    await expect(openDestination(at('none/file'))).rejects.toThrow(`open ${at('none/file')}: no such file or directory`);
    await expect(openDestination(at('file/file'))).rejects.toThrow(`open ${at('file/file')}: not a directory`);
    await expect(openDestination(directory)).rejects.toThrow(`open ${directory}: is a directory`);
  });
});
