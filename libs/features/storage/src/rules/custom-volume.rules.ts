import { blockVolumeKeys, customVolumeKeys } from '#config-schema';
import { internal, invalid, isTrue } from '#kernel';
import type { ContentType } from '../data/volumes.repository.js';
import { changedKeys, compact, validate, type Config } from './pool-config.rules.js';

const contentTypes: readonly string[] = ['filesystem', 'block'] satisfies ContentType[];

/** Empty stands for files. */
export function contentTypeOf(text: string): ContentType {
  if (text === '') return 'filesystem';
  if (!contentTypes.includes(text)) throw invalid('Invalid volume content type name');
  return text as ContentType;
}

/** LXD's checks, and besides none with a NUL, which no file system takes. */
export function checkVolumeName(name: string): void {
  if (name === '') throw invalid('No name provided');
  if (name.includes('/')) throw invalid('Storage volume names may not contain slashes');
  if (name.includes('\0')) throw invalid(`Invalid storage volume name "${name}"`);
}

/** LXD's checks of a snapshot's name, and besides none that leads elsewhere on the disk. */
export function checkVolumeSnapshotName(name: string): void {
  if (name.includes('/')) throw invalid('Storage name cannot contain "/"');
  if (/\s/.test(name)) throw invalid('Storage name cannot contain white space');
  if (name === '.' || name === '..' || name.includes('\0') || /^\.(roost|former)-/.test(name) || name.length > 255) throw invalid(`Invalid snapshot name "${name}"`);
}

/** Refuses unknown keys and bad values; `diskName` is how LXD's texts call the volume. */
export function validateVolumeConfig(diskName: string, contentType: ContentType, config: Config): void {
  validate(contentType === 'block' ? blockVolumeKeys : customVolumeKeys, config,
    (name) => `Invalid option for volume "${diskName}" option "${name}"`,
    (name) => `Invalid value for volume "${diskName}" option "${name}"`);
}

/** Those of a description that volumes here have too; another server's drivers may have others. */
export function knownVolumeKeys(contentType: ContentType, config: Config): Record<string, string> {
  const keys = contentType === 'block' ? blockVolumeKeys : customVolumeKeys;
  return Object.fromEntries(Object.entries(compact(config)).filter(([key]) => keys.find(key) !== undefined));
}

/** A new volume's keys: what was asked for over what the pool has for new volumes. */
export function withPoolDefaults(pool: Config, contentType: ContentType, config: Config): Config {
  const keys = contentType === 'block' ? blockVolumeKeys : customVolumeKeys;
  const defaults = Object.entries(pool).flatMap(([key, value]) => (key.startsWith('volume.') ? [[key.slice('volume.'.length), value] as const] : []));
  return { ...Object.fromEntries(defaults.filter(([key]) => keys.find(key) !== undefined)), ...compact(config) };
}

/** What an update may not do whoever uses the volume; true where nobody that runs may use it. */
export function changesShifting(before: Config, after: Config): boolean {
  if (isTrue(after['security.shifted']) && isTrue(after['security.unmapped'])) throw internal('security.unmapped and security.shifted are mutually exclusive');
  return Object.hasOwn(changedKeys(before, after), 'security.shifted');
}
