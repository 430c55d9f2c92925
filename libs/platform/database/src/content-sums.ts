import { Worker } from 'node:worker_threads';
import { internal } from '#kernel';
import { localPrefix } from './schema/layout.js';

/** What a member's file holds, at one moment of it. Two members that stand at the same place hold the same, or one of them has diverged. */
export interface ContentSums {
  readonly incarnation: string;
  /** Of the last entry applied. */
  readonly index: number;
  /** SHA-256 of each replicated table's rows, hex. */
  readonly tables: Readonly<Record<string, string>>;
}

/** Reads everything, so it is not done on the event loop. One read transaction: place and rows belong together. */
const worker = `
const { workerData, parentPort } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const { createHash } = require('node:crypto');
const db = new DatabaseSync(workerData.path, { readOnly: true, timeout: 5000 });
db.exec('BEGIN');
const { incarnation, applied } = db.prepare('SELECT incarnation, applied FROM local_state').get();
const tables = {};
for (const { name } of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND substr(name, 1, length(?)) <> ? ORDER BY name").all(workerData.localPrefix, workerData.localPrefix)) {
  const key = db.prepare('SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk').all(name).map((column) => '"' + column.name + '"');
  const rows = db.prepare('SELECT * FROM "' + name + '" ORDER BY ' + key.join());
  rows.setReturnArrays(true);
  rows.setReadBigInts(true);
  const hash = createHash('sha256');
  for (const row of rows.iterate()) {
    for (const value of row) {
      const bytes = value === null ? null : value instanceof Uint8Array ? value : Buffer.from(String(value));
      hash.update(value === null ? 'n;' : typeof value + bytes.length + ':');
      if (bytes !== null) hash.update(bytes);
    }
    hash.update('\\n');
  }
  tables[name] = hash.digest('hex');
}
db.exec('COMMIT');
db.close();
parentPort.postMessage({ incarnation, index: applied, tables });
`;

/** @param path of the database's file. */
export async function sumContents(path: string): Promise<ContentSums> {
  const { promise, resolve, reject } = Promise.withResolvers<ContentSums>();
  const thread = new Worker(worker, { eval: true, workerData: { path, localPrefix } });
  thread.once('message', resolve);
  thread.once('error', reject);
  thread.once('exit', (code) => reject(internal(`Summing up the database ended with code ${code}`)));
  try {
    return await promise;
  } finally {
    await thread.terminate();
  }
}
