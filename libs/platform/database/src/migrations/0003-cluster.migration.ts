import type { Migration } from './migration.js';

/**
 * Schema level 3: what clustering adds. Names follow LXD's `cluster_groups` and `nodes_cluster_groups`.
 *
 * `nodes.state` is LXD's number as text: `created`, `pending`, `evacuated`. `nodes.voter` says what part a member has in the log:
 * `''` none, `learner`, `voter`, `standby`. `nodes.raft` holds where its etcd listens once it has one: `{"peerPort":8444,"clientPort":8445,"id":"<hex>"}`.
 * `nodes.version` is what it announced at its last start: `{"level":3,"apiExtensions":117,"kinds":[...]}`.
 */
export const cluster: Migration = {
  level: 3,
  sql: `
ALTER TABLE nodes ADD COLUMN voter TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN raft TEXT NOT NULL DEFAULT '{}';
ALTER TABLE nodes ADD COLUMN version TEXT NOT NULL DEFAULT '{}';
ALTER TABLE nodes ADD COLUMN certificate TEXT NOT NULL DEFAULT '';

CREATE TABLE cluster_groups (
  id INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL DEFAULT ''
);

CREATE TABLE nodes_cluster_groups (
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  group_id INTEGER NOT NULL REFERENCES cluster_groups (id) ON DELETE CASCADE,
  PRIMARY KEY (node_id, group_id)
);

INSERT INTO cluster_groups (id, name, description) VALUES (1, 'default', 'Default cluster group');
INSERT INTO nodes_cluster_groups (node_id, group_id) SELECT id, 1 FROM nodes;
INSERT INTO id_counters (name, value) VALUES ('cluster_groups', 1);
`,
};
