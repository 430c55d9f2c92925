import { expect, it } from 'vitest';
import { encodeJson, encodeMetadata } from './wire-json.js';

it('escapes in errors and events what LXD escapes there', () => {
  expect(encodeJson({ text: 'a<b&c>\u2028' })).toBe('{"text":"a\\u003cb\\u0026c\\u003e\\u2028"}');
});

it('leaves the metadata of answers as it is but for line separators', () => {
  expect(encodeMetadata({ text: 'a<b&c>\u2028' })).toBe('{"text":"a<b&c>\\u2028"}');
  expect(encodeMetadata(undefined)).toBe('null');
});
