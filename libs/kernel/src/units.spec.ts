import { expect, it } from 'vitest';
import { isFalse, isTrue, isTrueOrEmpty, parseByteSize } from './units.js';

it.each([['', 0], ['0', 0], ['1024', 1024], ['5B', 5], ['1kB', 1000], ['1KiB', 1024], ['2 MiB', 2097152], ['10GB', 1e10], ['1TiB', 2 ** 40]])('reads the size %j', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

it.each(['x', '1XB', '-1', '1.5GiB', '99999EiB'])('refuses the size %j', (text) => {
  expect(() => parseByteSize(text)).toThrow(/Invalid value|too large/);
});

it('reads booleans as LXD does', () => {
  expect(['true', 'Yes', '1', 'ON'].map(isTrue)).toEqual([true, true, true, true]);
  expect(['', 'no', 'x'].map(isTrue)).toEqual([false, false, false]);
  expect(['false', 'No', '0', 'off', '', 'x'].map(isFalse)).toEqual([true, true, true, true, false, false]);
  expect([undefined, '', 'yes', 'no'].map(isTrueOrEmpty)).toEqual([true, true, true, false]);
});
