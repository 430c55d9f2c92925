import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenDatabase, type OpenOptions } from './open-database.js';

/**
 * A database of its own for a spec, with the whole schema, in a directory of its own that goes when it is closed:
 * `const db = await openTemporaryDatabase(); afterAll(() => db.close())`. Not synced to disk.
 */
export async function openTemporaryDatabase(options: Partial<OpenOptions> = {}): Promise<OpenDatabase & AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'roost-database-'));
  const open = await OpenDatabase.open({ directory, synchronous: 'OFF', ballast: { bytes: 0 }, ...options });
  const close = open.close.bind(open);
  const closeAndRemove = async (): Promise<void> => {
    await close();
    rmSync(directory, { recursive: true, force: true });
  };
  return Object.assign(open, { close: closeAndRemove, [Symbol.asyncDispose]: closeAndRemove });
}
