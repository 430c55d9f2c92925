import { devices, keyValues } from './0002-lxd-views.migration.js';
import type { Migration } from './migration.js';

/**
 * Schema level 4: snapshots of instances and of their volumes, and LXD's child tables of both as views. What a snapshot does not have of its
 * own (type, architecture, profiles) is its instance's, as in LXD. `expiry_date` is NULL for one that is kept.
 */
export const snapshots: Migration = {
  level: 4,
  sql: [`
CREATE TABLE instances_snapshots (
  id INTEGER NOT NULL PRIMARY KEY,
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  creation_date TEXT NOT NULL,
  stateful INTEGER NOT NULL DEFAULT 0,
  description TEXT NOT NULL DEFAULT '',
  expiry_date TEXT,
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  devices TEXT NOT NULL DEFAULT '{}',
  UNIQUE (instance_id, name)
);

CREATE TABLE storage_volumes_snapshots (
  id INTEGER NOT NULL PRIMARY KEY,
  storage_volume_id INTEGER NOT NULL REFERENCES storage_volumes (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  expiry_date TEXT,
  creation_date TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  UNIQUE (storage_volume_id, name)
);
`,
    keyValues('instances_snapshots_config', 'instances_snapshots', 'instance_snapshot_id', 'config'),
    devices('instances_snapshots', 'instance_snapshot_id', 'instance_snapshot_device_id'),
    keyValues('storage_volumes_snapshots_config', 'storage_volumes_snapshots', 'storage_volume_snapshot_id', 'config'),
  ].join('\n'),
};
