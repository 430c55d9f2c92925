import { describe, expect, it } from 'vitest';
import { parseJsonBody } from './json-syntax.rules.js';

describe('parseJsonBody', () => {
  // Wording asked of LXD 5.0.2.
  it.each([
    ['{"name":', 'unexpected EOF'],
    ['{"name":"a",}', "invalid character '}' looking for beginning of object key string"],
    ['{"name" "a"}', `invalid character '"' after object key`],
    ['{"name":"a" "b":1}', `invalid character '"' after object key:value pair`],
    ['{"name":trux}', "invalid character 'x' in literal true (expecting 'e')"],
    ['{"name":"\\x"}', "invalid character 'x' in string escape code"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['[1 2]', "invalid character '2' after array element"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['{"a":01}', "invalid character '1' after object key:value pair"],
    ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"a":1ex}', "invalid character 'x' in exponent of numeric literal"],
    ['{"a":"\\u12x4"}', "invalid character 'x' in \\u hexadecimal character escape"],
    ['{"a":"\n"}', "invalid character '\\n' in string literal"],
    ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['é', "invalid character 'Ã' looking for beginning of value"],
    ['  ', 'EOF'],
  ])('refuses %s', (text, message) => {
    expect(() => parseJsonBody(text)).toThrow(message);
  });

  it('ignores what follows the first value', () => {
    expect(parseJsonBody(' {"a":[1,-2.5e3,"\\u00e9",null,true]} and more')).toEqual({ a: [1, -2500, 'é', null, true] });
  });
});
