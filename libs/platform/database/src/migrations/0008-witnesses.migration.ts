import type { Migration } from './migration.js';

/**
 * Schema level 8: witnesses, which vote in the log and are no members. Their numbers are of the same row as `nodes.id`; `voter` and `raft` are as in
 * `nodes`, but that a witness keeps its ports while it does not vote.
 */
export const witnesses: Migration = {
  level: 8,
  sql: `
CREATE TABLE witnesses (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL UNIQUE,
  voter TEXT NOT NULL DEFAULT '',
  raft TEXT NOT NULL DEFAULT '{}'
);
`,
};
