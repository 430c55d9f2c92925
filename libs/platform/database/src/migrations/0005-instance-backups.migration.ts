import type { Migration } from './migration.js';

/**
 * Schema level 5: backups of instances. Their archives lie with the member of the instance, named by the row's id. `expiry_date` is NULL for one
 * that is kept; a backup is shown once it is whole.
 */
export const instanceBackups: Migration = {
  level: 5,
  sql: `
CREATE TABLE instances_backups (
  id INTEGER NOT NULL PRIMARY KEY,
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  creation_date TEXT NOT NULL,
  expiry_date TEXT,
  container_only INTEGER NOT NULL DEFAULT 0,
  optimized_storage INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  UNIQUE (instance_id, name)
);
`,
};
