import { lstat } from 'node:fs/promises';
import { invalid } from '#kernel';
import type { VolumeSpec } from '#ports';

/** What the host itself will open of a container's volume is what it seems to be: another server may have made it. */
export async function requireVolumeTree({ kind }: VolumeSpec, path: string): Promise<void> {
  if (kind !== 'container') return;
  const found = (name: string) => lstat(`${path}/${name}`).catch(() => undefined);
  if ((await found('rootfs'))?.isDirectory() !== true) throw invalid('What came has no directory "rootfs"');
  const templates = await found('templates');
  if (templates !== undefined && !templates.isDirectory()) throw invalid('What came has no directory "templates"');
  for (const name of ['metadata.yaml', 'backup.yaml']) {
    const file = await found(name);
    if (file !== undefined && (!file.isFile() || file.nlink !== 1)) throw invalid(`"${name}" of what came is not a regular file`);
  }
}
