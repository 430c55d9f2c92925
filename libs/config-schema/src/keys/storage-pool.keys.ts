import { key, KeyGroup, type KeySpec } from '../key.js';
import { isSize, volumeDefaults } from './storage-volume.keys.js';

const everyPool: Readonly<Record<string, KeySpec>> = {
  source: key.string({ short: 'Directory, device or loop file that holds the pool', scope: 'local' }),
  'volatile.initial_source': key.string({ short: 'Source given when the pool was made', scope: 'local' }),
  'rsync.bwlimit': key.string({ short: 'Upper limit for transfers by rsync', default: '0', scope: 'global', check: isSize }),
  'rsync.compression': key.bool({ short: 'Compress transfers', default: 'true', scope: 'global' }),
  ...volumeDefaults,
};

const prefixes = { 'user.': key.string({ short: 'Anything, for people and their tools' }) };

/** Keys of pools by driver. */
export const storagePoolKeys: Readonly<Record<string, KeyGroup>> = {
  dir: new KeyGroup('storage-dir', everyPool, prefixes),
  btrfs: new KeyGroup('storage-btrfs', {
    ...everyPool,
    size: key.string({ short: 'Size of the loop file', default: '20% of the free space, at least 5GiB, at most 30GiB', scope: 'local', liveUpdate: true, check: isSize }),
    'btrfs.mount_options': key.string({ short: 'Mount options', default: 'user_subvol_rm_allowed', scope: 'global', liveUpdate: true }),
  }, prefixes),
};

/** Keys whose values belong to one member, not to the pool as a whole. */
export const memberPoolKeys: readonly string[] = ['size', 'source', 'volatile.initial_source'];
