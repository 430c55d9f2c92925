import { describe, expect, it } from 'vitest';
import { parentsOf } from './sent-differences.rules.js';

const history = ['a', 'b', 'c', 'd', 'e'];

describe('what pieces are sent as the difference to', () => {
  it.each([
    ['the next older one that is there or sent before', ['b'], ['c', 'd'], '', { c: 'b', d: 'c', '': 'd' }],
    ['the nearest of several', ['a', 'd'], ['b', 'e'], '', { b: 'a', e: 'd', '': 'e' }],
    ['a newer one where no older one is there', ['c'], ['a'], '', { a: 'c', '': 'c' }],
    ['a snapshot itself where that is the content', ['b', 'd'], [], 'b', { '': 'b' }],
    ['what is older than the snapshot that is the content', ['a', 'e'], [], 'c', { '': 'a' }],
    ['what is newer than it where nothing else is there', ['e'], [], 'c', { '': 'e' }],
    ['nothing where nothing is there', [], ['a', 'b'], '', {}],
    ['what the volume has no row of', ['x'], ['a'], '', { a: 'x', '': 'a' }],
  ])('%s', (_what, bases, snapshots, sourceSnapshot, expected) => {
    expect(parentsOf({ history, bases, snapshots, sourceSnapshot })).toEqual(expected);
  });
});
