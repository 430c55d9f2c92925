import { constants } from 'node:fs';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { invalid, notFound } from '#kernel';
import { errnoName } from '#host';

/** The description of thousands of snapshots fits. */
const fileBytesMax = 32 * 1024 * 1024;

export async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

/** Empty for one that is absent or no plain file; no link is followed. */
export async function readSmallFile(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoName(error))) return undefined;
    throw error;
  });
  if (handle === undefined) return '';
  try {
    const found = await handle.stat();
    if (!found.isFile()) return '';
    if (found.size > fileBytesMax) throw invalid(`"${path}" is too large`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Whoever reads it sees the old or the new one, for root alone. */
export async function replaceFile(directory: string, name: string, content: string): Promise<void> {
  const path = `${directory}/.${name}.new`;
  await rm(path, { force: true });
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o400).catch((error: unknown) => {
    throw errnoName(error) === 'ENOENT' ? notFound(`"${directory}" does not exist`) : error;
  });
  try {
    await handle.writeFile(content);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(path, `${directory}/${name}`);
}
