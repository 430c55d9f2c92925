import { describe, expect, it } from 'vitest';
import { filterList, filterMatches } from './filter-language.rules.js';

const e1 = { name: 'e1', ephemeral: false, status_code: 102, config: { 'limits.cpu': '2', 'user.a': 'x y' }, devices: { root: { path: '/', pool: 'p' } }, project: 'default' };
const e2 = { name: 'e2', ephemeral: false, status_code: 102, config: {}, devices: { root: { path: '/', pool: 'p' } }, project: 'default' };

const matching = (filter: string): string => filterList(filter, [e1, e2]).map(({ name }) => name).join(' ');

describe('the filter language', () => {
  // Every line was asked of LXD 5.0.2.
  it.each([
    ['name eq e1', 'e1'],
    ['name = e1', 'e1'],
    ['name NE e1', 'e1'],
    ['name ne e1', 'e2'],
    ['not name eq e1', 'e2'],
    ['NOT name eq e1', 'e2'],
    ['name eq e1 or name eq e2', 'e1 e2'],
    ['name eq e2 or name eq e1 and name eq zzz', ''],
    ['(name eq e1)', ''],
    ['name eq E1', 'e1'],
    ['name eq e.', 'e1 e2'],
    ['name eq e|zzz', 'e1 e2'],
    ['name eq e', ''],
    ['name eq [', ''],
    ['Name eq e1', ''],
    ['nosuch eq x', ''],
    ['nosuch ne x', 'e1 e2'],
    ['ephemeral eq false', ''],
    ['status_code ne 102', 'e1 e2'],
    ['config.limits.cpu eq 2', 'e1'],
    ['config.user.a eq "x y"', 'e1'],
    ['name eq "e 1" or name eq e2', 'e2'],
    ['devices.root.path eq /', 'e1 e2'],
    ['  ', 'e1 e2'],
  ])('%s', (filter, names) => {
    expect(matching(filter)).toBe(names);
  });

  it.each([
    ['name', 'clause has no operator'],
    ['name eq', 'clause has no value'],
    ['name eq e1 name', 'invalid clause composition'],
    ['name eq e1 AND name eq e2', 'invalid clause composition'],
    ['not', 'incomplete not clause'],
    ['name eq e1 and', 'unterminated compound clause'],
    ['name eq "e1"', 'unterminated quote'],
    ['name eq e1 and (', 'clause has no operator'],
  ])('refuses %s', (filter, reason) => {
    expect(() => filterMatches(filter, e1)).toThrow(`Invalid filter: ${reason}`);
  });

  it('does not hang on a hostile pattern', () => {
    expect(filterMatches('name eq (a+)+$', { name: 'a'.repeat(60) })).toBe(false);
  });
});
