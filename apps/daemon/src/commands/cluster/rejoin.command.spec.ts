import { expect, it } from 'vitest';
import { rejoinText } from './rejoin.command.js';

it('names what the histories differ in, and only then', () => {
  expect(rejoinText({ backup: '/d/backups/b', unknown: [], unexpected: [] })).toBe("This member is part of the cluster again, with the cluster's database. What it had in its place was kept in\n/d/backups/b.\n");
  expect(rejoinText({ backup: '/b', unknown: ['default/a', 'web/b'], unexpected: ['default/c'] })).toMatch(/"lxd recover".*\n {2}default\/a\n {2}web\/b\n\nThe cluster has these.*\n.*\n {2}default\/c\n$/);
});
