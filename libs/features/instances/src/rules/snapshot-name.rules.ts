import { invalid } from '#kernel';

export { nextSnapshotName } from '#config-schema';

/** What a segment of a URL may not hold. @throws `invalid` in LXD's words. */
export function checkSnapshotSegment(name: string): void {
  for (const char of ['/', '?', '&', '+']) if (name.includes(char)) throw invalid(`Invalid snapshot name: Cannot contain "${char}"`);
}

/** What LXD finds only while it works. Names that lead elsewhere on the disk are refused with them. */
export function checkSnapshotName(name: string): void {
  if (/[ /]/.test(name)) throw invalid('Invalid instance snapshot name: Cannot contain space or / characters');
  if (name === '.' || name === '..' || name.includes('\0') || /^\.(roost|former)-/.test(name) || name.length > 255) throw invalid(`Invalid instance snapshot name: "${name}"`);
}
