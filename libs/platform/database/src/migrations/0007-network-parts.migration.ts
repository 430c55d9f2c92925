import { keyValues } from './0002-lxd-views.migration.js';
import type { Migration } from './migration.js';

/**
 * Schema level 7: address forwards of networks, each of one member, and access lists. Ports and rules are lists of what the API shows. With LXD's child
 * tables as views.
 */
export const networkParts: Migration = {
  level: 7,
  sql: [`
CREATE TABLE networks_forwards (
  id INTEGER NOT NULL PRIMARY KEY,
  network_id INTEGER NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
  node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  listen_address TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  ports TEXT NOT NULL DEFAULT '[]',
  config TEXT NOT NULL DEFAULT '{}',
  UNIQUE (network_id, node_id, listen_address)
);

CREATE TABLE networks_acls (
  id INTEGER NOT NULL PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  ingress TEXT NOT NULL DEFAULT '[]',
  egress TEXT NOT NULL DEFAULT '[]',
  config TEXT NOT NULL DEFAULT '{}',
  UNIQUE (project_id, name)
);
`,
    keyValues('networks_forwards_config', 'networks_forwards', 'network_forward_id', 'config'),
    keyValues('networks_acls_config', 'networks_acls', 'network_acl_id', 'config'),
  ].join('\n'),
};
