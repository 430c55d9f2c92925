import { describe, expect, it } from 'vitest';
import { parseRange } from './byte-range.rules.js';

describe('parseRange', () => {
  it.each([
    [undefined, null], ['bytes=0-10', { first: 0, last: 10 }], ['bytes=90-', { first: 90, last: 99 }], ['bytes=-5', { first: 95, last: 99 }],
    ['bytes=0-1000', { first: 0, last: 99 }], ['bytes=100-', 'unsatisfiable'], ['bytes=5-2', 'unsatisfiable'], ['bytes=0-1,3-4', null], ['bytes=-', null],
  ])('%s', (header, expected) => {
    expect(parseRange(header, 100)).toEqual(expected);
  });
});
