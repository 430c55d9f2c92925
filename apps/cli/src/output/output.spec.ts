import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toJson, withSortedKeys } from './json.js';
import { byNumbers, renderList, sortRows } from './render.js';
import { asCompact, asCsv, asTable, displayWidth } from './table.js';
import { localMinute, longUtc, zoneName } from './times.js';
import { bytesIec, bytesSi } from './units.js';
import { naturalOrder, toYaml } from './yaml.js';

describe('tables', () => {
  it('have headings in the middle and cells of several lines', () => {
    expect(asTable(['name', 'user.note'], [['c1', 'a\nb'], ['container2', '']])).toBe([
      '+------------+-----------+', '|    NAME    | USER NOTE |', '+------------+-----------+', '| c1         | a         |', '|            | b         |', '+------------+-----------+', '| container2 |           |', '+------------+-----------+', '',
    ].join('\n'));
    expect(asTable(['A'], [])).toBe('+---+\n| A |\n+---+\n');
    expect(asCompact(['A', 'B'], [['1', '22']])).toBe('  A  B   \n  1  22  \n');
  });

  it('count what a terminal shows', () => {
    expect(displayWidth('日本')).toBe(4);
    expect(displayWidth('e\u0301')).toBe(1);
    expect(displayWidth('\u001b[1mx\u001b[0m')).toBe(1);
  });

  it('are CSV that spreadsheets read', () => {
    expect(asCsv([['a', 'b,c', 'd"e', ' f', 'g\nh']])).toBe('a,"b,c","d""e"," f","g\nh"\n');
  });

  it('are ordered by numbers, empty cells last', () => {
    expect(sortRows([['b'], ['a10'], ['a-1'], [''], ['a2'], ['A3']]).flat()).toEqual(['A3', 'a2', 'a10', 'a-1', 'b', '']);
    expect(byNumbers('5', '05')).toBeLessThan(0);
  });

  it('know five formats', () => {
    expect(renderList('json', [], [], [{ a: '<' }])).toBe('[{"a":"\\u003c"}]\n');
    expect(() => renderList('xml', [], [], [])).toThrow('Invalid format "xml"');
  });
});

describe('toYaml', () => {
  it.each([
    ['plain', 'plain'], ['', '""'], ['yes', '"yes"'], ['1_000', '"1_000"'], ['1:30', '"1:30"'], ['2026-01-01', '"2026-01-01"'], ['a: b', "'a: b'"], ['x #y', "'x #y'"], ["ümlaut it's", "ümlaut it's"], ['  lead', "'  lead'"],
    ['- x', "'- x'"], ['@x', "'@x'"], ['tab\there', '"tab\\there"'], ['emoji 😀', '"emoji \\U0001F600"'], ['0x10 ', "'0x10 '"], ['0o17', '"0o17"'], ['=x', '=x'],
  ])('writes %j as %s', (text, written) => {
    expect(toYaml({ key: text })).toBe(`key: ${written}\n`);
  });

  it('writes lines as a block', () => {
    expect(toYaml({ a: 'x\ny' })).toBe('a: |-\n  x\n  y\n');
    expect(toYaml({ a: 'x\n' })).toBe('a: |\n  x\n');
    expect(toYaml({ a: 'line \nx' })).toBe('a: "line \\nx"\n');
  });

  it('breaks long lines at spaces', () => {
    const long = Array.from({ length: 20 }, () => 'word').join(' ');
    expect(toYaml({ k: long })).toBe(`k: ${Array.from({ length: 16 }, () => 'word').join(' ')}\n  word word word word\n`);
  });

  it('keeps the order of structures and sorts maps', () => {
    expect(toYaml({ name: 'x', config: { b: '1', a: '2' }, devices: { eth10: { type: 'nic', name: 'e' }, eth2: {} }, profiles: ['p'], used_by: null })).toBe(
      'name: x\nconfig:\n  a: "2"\n  b: "1"\ndevices:\n  eth2: {}\n  eth10:\n    name: e\n    type: nic\nprofiles:\n- p\nused_by: []\n',
    );
    expect(naturalOrder('user.2', 'user.10')).toBeLessThan(0);
  });
});

describe('times and sizes', () => {
  let zone: string | undefined;
  beforeEach(() => { zone = process.env['TZ']; });
  afterEach(() => { if (zone === undefined) delete process.env['TZ']; else process.env['TZ'] = zone; });

  it('read as the client of LXD writes them', () => {
    process.env['TZ'] = 'UTC';
    expect(localMinute('2026-11-21T16:34:34.719752384Z')).toBe('2026/11/21 16:34 UTC');
    expect(longUtc('2026-11-21T16:34:34Z')).toBe('Nov 21, 2026 at 4:34pm (UTC)');
    expect(longUtc('2026-11-01T00:04:34Z')).toBe('Nov 1, 2026 at 12:04am (UTC)');
  });

  it('names an offset that has no name', () => {
    process.env['TZ'] = 'Nowhere/Else';
    expect(zoneName(new Date(0))).toBe('UTC');
  });

  it('counts bytes by 1024 or by 1000', () => {
    expect([bytesIec(512), bytesIec(1536), bytesIec(48 * 1024, 0), bytesSi(1500), bytesSi(999)]).toEqual(['512B', '1.50KiB', '48KiB', '1.50kB', '999B']);
  });
});

describe('toJson', () => {
  it('can have its keys in order', () => {
    expect(toJson(withSortedKeys({ b: [{ d: 1, c: 2 }], a: null }))).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
  });
});
