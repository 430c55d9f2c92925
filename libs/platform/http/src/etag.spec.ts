import { describe, expect, it } from 'vitest';
import { apiUrl, parseRecursion } from './query-parameters.js';
import { checkEtag, etagOf } from './etag.js';
import { formatListenAddress, parseListenAddress } from './listen-address.js';

describe('etagOf', () => {
  it('is the hash LXD has for the same fields', () => {
    expect(etagOf([{}, 'Default LXD profile', {}])).toBe('0be6a87776a61ffd5357c45f5dce6e9abc0d4d4bbdb520bab9a7528f2548e9d5');
  });

  it('does not depend on the order of keys', () => {
    expect(etagOf({ b: 1, a: [{ d: 1, c: 2 }] })).toBe(etagOf({ a: [{ c: 2, d: 1 }], b: 1 }));
  });

  it('is compared with or without quotes, and only when asked for', () => {
    const etag = etagOf('x');

    expect(() => checkEtag(`"${etag}"`, 'x')).not.toThrow();
    expect(() => checkEtag(undefined, 'x')).not.toThrow();
    expect(() => checkEtag('abc', 'x')).toThrow(`ETag doesn't match: ${etag} vs abc`);
  });
});

describe('query parameters and URLs', () => {
  it('read recursion leniently', () => {
    expect([undefined, '', 'abc', '0', '1', '2', '3'].map(parseRecursion)).toEqual([0, 0, 0, 0, 1, 2, 2]);
  });

  it('name projects other than default', () => {
    expect(apiUrl(['1.0', 'instances', 'c1'], 'default')).toBe('/1.0/instances/c1');
    expect(apiUrl(['1.0', 'instances', 'a/b'], 'my project')).toBe('/1.0/instances/a%2Fb?project=my%20project');
  });
});

describe('listen addresses', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1', 8443, '127.0.0.1:8443'],
    [':18443', '', 18443, ':18443'],
    ['[::1]', '::1', 8443, '[::1]:8443'],
    ['::1', '::1', 8443, '[::1]:8443'],
    ['[::]:1', '::', 1, '[::]:1'],
    ['host:5', 'host', 5, 'host:5'],
  ])('%s', (text, host, port, formatted) => {
    expect(parseListenAddress(text)).toEqual({ host, port });
    expect(formatListenAddress(parseListenAddress(text))).toBe(formatted);
  });
});
