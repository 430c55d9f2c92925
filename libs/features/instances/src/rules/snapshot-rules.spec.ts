import { describe, expect, it } from 'vitest';
import { requestedExpiry, snapshotExpiry } from './snapshot-expiry.rules.js';
import { checkSnapshotName, checkSnapshotSegment, nextSnapshotName } from './snapshot-name.rules.js';

const now = new Date('2026-11-21T13:30:28.123Z');

describe('names of snapshots', () => {
  it.each([
    ['', [], 'snap0'], ['', ['snap0', 'snap7', 'other9', 'snapx'], 'snap8'], ['x%d', ['x3'], 'x4'], ['a%db', ['a1b', 'a2'], 'a2b'], ['fix', [], 'fix'],
    ['fix', ['fix'], 'fix-0'], ['fix', ['fix', 'fix-0'], 'fix-1'], ['{{ creation_date|date:"2006-01-02_15-04-05" }}', [], '2026-11-21_13-30-28'],
    ["{{creation_date | date:'Jan 2, 06 3PM'}}%d", [], 'Nov 21, 26 1PM0'], ['{{ creation_date }}', [], '2026-11-21 13:30:28.123 +0000 UTC'],
  ])('by the pattern %j', (pattern, taken, name) => expect(nextSnapshotName(pattern, taken, now)).toBe(name));

  it.each(['a%d%d', '{{ bad', '{{ other }}'])('refuse the pattern %j', (pattern) => expect(() => nextSnapshotName(pattern, [], now)).toThrow());

  it.each(['a b', '.', '..', '.roost-new-s', 'x'.repeat(300), 'a\0'])('refuse %j', (name) => expect(() => checkSnapshotName(name)).toThrow('Invalid instance snapshot name'));

  it.each(['/', '?', '&', '+'])('refuse %j at once', (char) => expect(() => checkSnapshotSegment(`a${char}b`)).toThrow(`Invalid snapshot name: Cannot contain "${char}"`));
});

describe('the end of snapshots', () => {
  it.each([
    ['', null], ['1M 2H', '2026-11-21T15:31:28.123Z'], ['3d 1w', '2026-12-01T13:30:28.123Z'], ['2m 1y', '2028-01-21T13:30:28.123Z'], ['30S', '2026-11-21T13:30:58.123Z'],
  ])('after %j', (expression, end) => expect(snapshotExpiry(expression, now)?.toISOString() ?? null).toBe(end));

  it('as asked for', () => {
    expect([undefined, null, '0001-01-01T00:00:00Z', '2030-01-01T00:00:00Z'].map(requestedExpiry)).toEqual([undefined, undefined, null, '2030-01-01T00:00:00Z']);
    expect(() => requestedExpiry('soon')).toThrow('parsing time "\\"soon\\"" as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse "soon\\"" as "2006"');
  });
});
