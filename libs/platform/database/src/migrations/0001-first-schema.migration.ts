import type { Migration } from './migration.js';

/**
 * Schema level 1. Names of tables and columns follow LXD's global database where administrators' `sql` touches them; key/value
 * children (`instances_config`, `profiles_devices_config`, ...) are JSON columns here and writable views for `roostd sql`.
 * What changesets ask (architecture 3): every table has a NOT NULL primary key, no AUTOINCREMENT, no triggers on tables.
 */
export const firstSchema: Migration = {
  level: 1,
  sql: `
CREATE TABLE id_counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);

CREATE TABLE config (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE nodes (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL,
  architecture TEXT NOT NULL,
  roles TEXT NOT NULL DEFAULT '[]',
  config TEXT NOT NULL DEFAULT '{}',
  failure_domain TEXT NOT NULL DEFAULT 'default',
  state TEXT NOT NULL DEFAULT 'created'
);

CREATE TABLE projects (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL DEFAULT '',
  config TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE certificates (
  id INTEGER NOT NULL PRIMARY KEY,
  fingerprint TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  certificate TEXT NOT NULL,
  restricted INTEGER NOT NULL DEFAULT 0,
  projects TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE profiles (
  id INTEGER NOT NULL PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  config TEXT NOT NULL DEFAULT '{}',
  devices TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, name)
);

CREATE TABLE storage_pools (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  driver TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE storage_pools_nodes (
  storage_pool_id INTEGER NOT NULL REFERENCES storage_pools (id) ON DELETE CASCADE,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (storage_pool_id, node_id)
);

CREATE TABLE storage_volumes (
  id INTEGER NOT NULL PRIMARY KEY,
  storage_pool_id INTEGER NOT NULL REFERENCES storage_pools (id) ON DELETE CASCADE,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  content_type TEXT NOT NULL DEFAULT 'filesystem',
  creation_date TEXT NOT NULL,
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  UNIQUE (storage_pool_id, node_id, project_id, type, name)
);

CREATE TABLE networks (
  id INTEGER NOT NULL PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, name)
);

CREATE TABLE networks_nodes (
  network_id INTEGER NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  state TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (network_id, node_id)
);

CREATE TABLE images (
  id INTEGER NOT NULL PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  fingerprint TEXT NOT NULL,
  type TEXT NOT NULL,
  filename TEXT NOT NULL,
  size INTEGER NOT NULL,
  public INTEGER NOT NULL DEFAULT 0,
  auto_update INTEGER NOT NULL DEFAULT 0,
  cached INTEGER NOT NULL DEFAULT 0,
  architecture TEXT NOT NULL,
  creation_date TEXT NOT NULL,
  expiry_date TEXT NOT NULL,
  upload_date TEXT NOT NULL,
  last_use_date TEXT NOT NULL,
  properties TEXT NOT NULL DEFAULT '{}',
  profiles TEXT NOT NULL DEFAULT '[]',
  source TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, fingerprint)
);

CREATE TABLE images_aliases (
  id INTEGER NOT NULL PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  UNIQUE (project_id, name)
);

CREATE TABLE images_nodes (
  image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  PRIMARY KEY (image_id, node_id)
);

CREATE TABLE instances (
  id INTEGER NOT NULL PRIMARY KEY,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  architecture TEXT NOT NULL,
  ephemeral INTEGER NOT NULL DEFAULT 0,
  stateful INTEGER NOT NULL DEFAULT 0,
  description TEXT NOT NULL DEFAULT '',
  creation_date TEXT NOT NULL,
  last_use_date TEXT NOT NULL,
  state TEXT NOT NULL,
  placement_epoch INTEGER NOT NULL DEFAULT 1,
  profiles TEXT NOT NULL DEFAULT '[]',
  config TEXT NOT NULL DEFAULT '{}',
  devices TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, name)
);
CREATE INDEX instances_node ON instances (node_id);

CREATE TABLE operations (
  id TEXT NOT NULL PRIMARY KEY,
  node_id INTEGER NOT NULL,
  project_id INTEGER,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  class TEXT NOT NULL,
  description TEXT NOT NULL,
  status TEXT NOT NULL,
  conflict_key TEXT,
  epoch INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  committed INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  requestor TEXT NOT NULL DEFAULT '{}',
  resources TEXT NOT NULL DEFAULT '{}',
  params TEXT NOT NULL DEFAULT '{}',
  steps TEXT NOT NULL DEFAULT '[]',
  outputs TEXT NOT NULL DEFAULT '{}',
  metadata TEXT NOT NULL DEFAULT '{}',
  error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX operations_live ON operations (status, node_id);

CREATE TABLE warnings (
  uuid TEXT NOT NULL PRIMARY KEY,
  node_id INTEGER NOT NULL,
  project_id INTEGER,
  entity_type TEXT NOT NULL DEFAULT '',
  entity_id INTEGER,
  type_code INTEGER NOT NULL,
  status INTEGER NOT NULL,
  first_seen_date TEXT NOT NULL,
  last_seen_date TEXT NOT NULL,
  updated_date TEXT NOT NULL,
  last_message TEXT NOT NULL,
  count INTEGER NOT NULL
);

INSERT INTO projects (id, name, description, config) VALUES (1, 'default', 'Default LXD project',
  '{"features.images":"true","features.networks":"true","features.profiles":"true","features.storage.volumes":"true"}');
INSERT INTO profiles (id, project_id, name, description) VALUES (1, 1, 'default', 'Default LXD profile');
INSERT INTO nodes (id, name, address, architecture) VALUES (1, 'none', '0.0.0.0', '');
INSERT INTO id_counters (name, value) VALUES ('projects', 1), ('profiles', 1), ('nodes', 1);
`,
};
