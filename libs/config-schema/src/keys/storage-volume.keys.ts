import { parseByteSize } from '#kernel';
import { isExpiry, isVolumeSnapshotSchedule } from '../checks/schedule.checks.js';
import { key, KeyGroup, type KeySpec } from '../key.js';

export function isSize(value: string): void {
  parseByteSize(value);
}

/** Keys of volumes whatever the driver. Pools give defaults for them as `volume.KEY`. */
const fileSystemKeys: Readonly<Record<string, KeySpec>> = {
  size: key.string({ short: 'Largest size of the volume, where the driver enforces one', default: 'the pool\'s `volume.size`', check: isSize }),
  'security.shifted': key.bool({ short: 'Shift ids on access, so that instances with different maps can share the volume', condition: 'custom volume' }),
  'security.unmapped': key.bool({ short: 'Leave ids as they are on disk', condition: 'custom volume' }),
  'snapshots.expiry': key.string({ short: 'How long snapshots are kept', condition: 'custom volume', check: isExpiry }),
  'snapshots.pattern': key.string({ short: 'Name given to snapshots', default: 'snap%d', condition: 'custom volume' }),
  'snapshots.schedule': key.string({ short: 'When snapshots are taken', condition: 'custom volume', check: isVolumeSnapshotSchedule }),
};

const user = key.string({ short: 'Anything, for people and their tools' });

/** How ids lie in a volume's files. */
const idmapKeys: Readonly<Record<string, KeySpec>> = {
  'volatile.idmap.last': key.string({ short: 'Id map the files were last shifted to' }),
  'volatile.idmap.next': key.string({ short: 'Id map for the next start' }),
};

/** Keys a custom volume of files may carry. */
export const customVolumeKeys = new KeyGroup('storage-volume', { ...fileSystemKeys, ...idmapKeys }, { 'user.': user });

/** Keys a custom block volume may carry: it has no files whose ids could be shifted. */
export const blockVolumeKeys = new KeyGroup('storage-volume-block',
  Object.fromEntries(Object.entries(fileSystemKeys).filter(([name]) => !name.startsWith('security.'))), { 'user.': user });

/** Keys an instance's volume may carry: its size belongs to the root disk device, and it is never shared. */
export const instanceVolumeKeys = new KeyGroup('storage-volume-of-instance', idmapKeys, { 'user.': user });

/** The keys of volumes as defaults of a pool. */
export const volumeDefaults: Readonly<Record<string, KeySpec>> = Object.fromEntries(
  Object.entries(fileSystemKeys).map(([name, spec]) => [`volume.${name}`, { ...spec, condition: undefined, short: `Default for new volumes: ${spec.short}` }]),
);
