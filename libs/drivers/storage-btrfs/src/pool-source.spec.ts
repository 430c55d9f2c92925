import { describe, expect, it } from 'vitest';
import { StateDirectory } from '#kernel';
import { defaultLoopSize, poolSource } from './pool-source.js';

const gib = 2 ** 30;

describe('defaultLoopSize', () => {
  it('takes a fifth of the free space, but at least 5 GiB and at most 30 GiB', () => {
    expect(defaultLoopSize(100 * gib)).toBe('20GiB');
    expect(defaultLoopSize(3 * gib)).toBe('5GiB');
    expect(defaultLoopSize(1000 * gib)).toBe('30GiB');
  });
});

describe('poolSource', () => {
  const state = new StateDirectory('/nowhere');

  it('tells loop files, file systems by UUID and directories apart', async () => {
    const sourceOf = (source?: string) => poolSource(state, { name: 'p', driver: 'btrfs', config: source === undefined ? {} : { source } });

    expect(await sourceOf()).toEqual({ kind: 'loop', path: '/nowhere/disks/p.img' });
    expect(await sourceOf('/nowhere/disks/p.img')).toEqual({ kind: 'loop', path: '/nowhere/disks/p.img' });
    expect(await sourceOf('6a3e7f3c-4a2f-4a8b-9f57-0f2b3c4d5e6f')).toEqual({ kind: 'device', path: 'UUID=6a3e7f3c-4a2f-4a8b-9f57-0f2b3c4d5e6f' });
    expect(await sourceOf('/some/where')).toEqual({ kind: 'directory', path: '/some/where' });
  });
});
