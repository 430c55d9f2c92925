import { describe, expect, it } from 'vitest';
import { floorFor } from './log-trimmer.js';

describe('floorFor', () => {
  const limits = { keepEntries: 10, capEntries: 1000 };
  const floor = (head: number, flushed: readonly number[], holds: readonly number[] = []): number => floorFor({ head, flushed, holds, ...limits });

  it('cuts up to what every registered member has on its disk, the absent ones too', () => {
    expect(floor(500, [490, 300, 490])).toBe(301);
    expect(floor(500, [490, 0, 490])).toBe(1);
  });

  it('keeps some entries for who was away for a moment', () => {
    expect(floor(500, [500, 500])).toBe(491);
  });

  it('waits no longer than the cap for one that stays away, but never goes below what two have', () => {
    expect(floor(5000, [4990, 100, 4990])).toBe(4001);
    expect(floor(5000, [4990, 100, 200])).toBe(201);
  });

  it('never cuts what a member fetching a copy still needs', () => {
    expect(floor(500, [500, 500, 500], [120])).toBe(121);
  });

  it('cuts nothing of a short log', () => {
    expect(floor(5, [5])).toBe(0);
  });
});
