import { firstSchema } from './0001-first-schema.migration.js';
import { lxdViews } from './0002-lxd-views.migration.js';
import { cluster } from './0003-cluster.migration.js';
import { snapshots } from './0004-snapshots.migration.js';
import { instanceBackups } from './0005-instance-backups.migration.js';
import { volumeBackups } from './0006-volume-backups.migration.js';
import { networkParts } from './0007-network-parts.migration.js';
import { witnesses } from './0008-witnesses.migration.js';
import type { Migration } from './migration.js';

/** Every level, in order. Append-only once released. */
export const migrations: readonly Migration[] = [firstSchema, lxdViews, cluster, snapshots, instanceBackups, volumeBackups, networkParts, witnesses];
