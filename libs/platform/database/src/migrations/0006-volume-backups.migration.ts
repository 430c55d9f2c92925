import type { Migration } from './migration.js';

/**
 * Schema level 6: backups of custom volumes. Their archives lie with the member of the volume, named by the row's id. `expiry_date` is NULL for one
 * that is kept; a backup is shown once it is whole.
 */
export const volumeBackups: Migration = {
  level: 6,
  sql: `
CREATE TABLE storage_volumes_backups (
  id INTEGER NOT NULL PRIMARY KEY,
  storage_volume_id INTEGER NOT NULL REFERENCES storage_volumes (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  creation_date TEXT NOT NULL,
  expiry_date TEXT,
  volume_only INTEGER NOT NULL DEFAULT 0,
  optimized_storage INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  UNIQUE (storage_volume_id, name)
);
`,
};
