import { invalid } from '#kernel';

/**
 * A pool's name becomes a directory, a file and a file system label. LXD's checks, and besides none that starts with a dot: `.` and
 * `..` would leave the directory, others are ours.
 */
export function validatePoolName(name: string): void {
  if (name === '') throw invalid('No name provided');
  if (name.includes('/')) throw invalid('Storage pool names may not contain slashes');
  if (/\s/.test(name)) throw invalid('Storage name cannot contain white space');
  if (name.startsWith('.') || name.includes('\0')) throw invalid(`Invalid storage pool name "${name}"`);
}

export const volumeTypes = ['container', 'custom', 'image', 'virtual-machine'] as const;
export type VolumeType = (typeof volumeTypes)[number];

export function volumeType(text: string): VolumeType {
  const found = volumeTypes.find((type) => type === text);
  if (found === undefined) throw invalid('Invalid storage volume type name');
  return found;
}
