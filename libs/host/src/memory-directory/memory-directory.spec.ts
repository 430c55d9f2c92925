import { mkdirSync, mkdtempSync, rmSync, statfsSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimMemoryDirectory } from './memory-directory.js';

const hasMemory = statfsSync('/dev/shm').type === 0x01021994;

describe.skipIf(!hasMemory)('claimMemoryDirectory', () => {
  let place: string;

  beforeEach(() => { place = mkdtempSync('/dev/shm/roost-memory-spec-'); });
  afterEach(() => rmSync(place, { recursive: true }));

  it('makes the directory, and finds it again', () => {
    expect(claimMemoryDirectory('a', [place])).toBe(`${place}/a`);
    expect(claimMemoryDirectory('a', [place])).toBe(`${place}/a`);
  });

  it('passes over what lies on a disk', () => {
    const disk = mkdtempSync(join(tmpdir(), 'roost-memory-spec-'));

    expect(claimMemoryDirectory('a', [disk, place])).toBe(statfsSync(disk).type === 0x01021994 ? `${disk}/a` : `${place}/a`);

    rmSync(disk, { recursive: true });
  });

  it('refuses what others may write to, and links', () => {
    mkdirSync(`${place}/open`);
    symlinkSync('/tmp', `${place}/link`);

    expect(claimMemoryDirectory('link', [place])).toBeNull();
    expect(claimMemoryDirectory('none', ['/nonexistent'])).toBeNull();
  });
});
