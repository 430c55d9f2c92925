import { describe, expect, it } from 'vitest';
import { choosePullers } from './replicas.rules.js';

const members = (online: number[], all = [1, 2, 3, 4, 5]) => all.map((id) => ({ id, online: online.includes(id) }));
const everybody = members([1, 2, 3, 4, 5]);

describe('choosePullers', () => {
  it.each([
    ['three of five', everybody, [2], 3, [3, 4]],
    ['around the end', everybody, [5], 3, [1, 2]],
    ['all', everybody, [2], -1, [3, 4, 5, 1]],
    ['enough there', everybody, [1, 2, 3], 3, []],
    ['one is enough', everybody, [4], 1, []],
    ['not those that are away', members([1, 2, 5]), [2], 3, [5, 1]],
    ['fewer members than wanted', members([1, 2], [1, 2]), [1], 3, [2]],
    ['a holder that is away counts', members([1, 2, 3]), [1, 4], 3, [2]],
    ['nobody to fetch from', everybody, [], 3, []],
    ['a holder that has left counts not', everybody, [9, 3], 2, [4]],
  ])('%s', (_, all, holders, wanted, expected) => {
    expect(choosePullers(all, holders, wanted)).toEqual(expected);
  });
});
