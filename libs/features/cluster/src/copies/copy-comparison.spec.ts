import { describe, expect, it } from 'vitest';
import type { ContentSums } from '#platform/database';
import { compareCopies, judgedByLog } from './copy-comparison.rules.js';

const sums = (content: string, place: Partial<ContentSums> = {}): ContentSums => ({ incarnation: 'i', index: 7, tables: { nodes: 'n', profiles: content }, ...place });
const members = (...contents: (ContentSums | null)[]) => contents.map((content, at) => ({ memberId: at + 1, sums: content }));

describe('copies of the database', () => {
  it('are compared at the same place only', () => {
    expect(compareCopies(members(sums('a'), sums('b', { index: 8 })))).toBeNull();
    expect(compareCopies(members(sums('a'), sums('a', { incarnation: 'j' })))).toBeNull();
    expect(compareCopies(members(sums('a'), null))).toBeNull();
  });

  it('agree, whoever is away', () => {
    expect(compareCopies(members(sums('a'), null, sums('a')))).toEqual({ agreeing: [1, 3], diverged: [], undecided: false });
  });

  it('are judged by what most hold', () => {
    expect(compareCopies(members(sums('b'), sums('a'), sums('a')))).toEqual({ agreeing: [2, 3], undecided: false, diverged: [{ memberId: 1, tables: ['profiles'] }] });
  });

  it('are nobody’s to judge when no content is held by most', () => {
    expect(compareCopies(members(sums('a'), sums('b')))).toMatchObject({ undecided: true, diverged: [{ memberId: 2, tables: ['profiles'] }] });
    expect(compareCopies(members(sums('a'), sums('b'), sums('c')))).toMatchObject({ undecided: true, diverged: [{ memberId: 2 }, { memberId: 3 }] });
  });

  it('are judged by the log then, where all of one content agree with it and nobody else does', () => {
    const two = members(sums('a'), sums('b'));
    const verdict = compareCopies(two)!;
    expect(judgedByLog(verdict, two, new Set([1]))).toEqual({ agreeing: [2], undecided: false, diverged: [{ memberId: 1, tables: ['profiles'] }] });
    expect(judgedByLog(verdict, two, new Set())).toBe(verdict);
    expect(judgedByLog(verdict, two, new Set([1, 2]))).toBe(verdict);
    const four = members(sums('a'), sums('b'), sums('a'), sums('b'));
    expect(judgedByLog(compareCopies(four)!, four, new Set([1, 3]))).toMatchObject({ agreeing: [2, 4], undecided: false });
    expect(judgedByLog(compareCopies(four)!, four, new Set([1]))).toMatchObject({ undecided: true });
  });
});
