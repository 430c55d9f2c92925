import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateDirectory } from '#kernel';
import type { EtcdPki } from '#platform/raft';
import type { OpenDatabase } from '../open-database.js';

/** What a copy is made of. */
export interface SafetyCopyParts {
  readonly open: OpenDatabase;
  readonly pki: EtcdPki;
  readonly state: StateDirectory;
}

/**
 * Before this member's database goes on in another history: `backups/<occasion>-<time>` with the database, the authority's files and the voter's data, which is
 * moved, since no voter may start with it again. The voter must not run. Returns the path.
 */
export async function keepSafetyCopy({ open, pki, state }: SafetyCopyParts, occasion: string): Promise<string> {
  const backup = join(state.backups, `${occasion}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  await mkdir(backup, { recursive: true, mode: 0o700 });
  await open.database.copyTo(join(backup, 'db.bin'));
  if (pki.exists) await cp(pki.directory, join(backup, 'etcd-pki'), { recursive: true });
  await rename(join(state.database, 'etcd'), join(backup, 'etcd')).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  await rm(join(state.database, 'etcd'), { recursive: true, force: true });
  return backup;
}
