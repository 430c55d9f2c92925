import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { internal, precondition } from '#kernel';
import type { LogHead } from '#platform/raft';
import { localPrefix } from './schema/layout.js';
import type { SqliteConnection } from './sqlite-connection.js';

/**
 * `VACUUM INTO` holds up whoever runs it for as long as it takes, so a worker does (hazards C4). It sees one moment of the file. What belongs to the
 * member alone is emptied in the copy, but for the place in the history and the levels, which say what the copy is.
 */
const worker = `
const { workerData, parentPort } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const source = new DatabaseSync(workerData.from, { readOnly: true, timeout: 5000 });
source.prepare('VACUUM INTO ?').run(workerData.to);
source.close();
const copy = new DatabaseSync(workerData.to);
for (const table of ['local_log', 'local_cluster']) copy.exec('DELETE FROM ' + table);
copy.close();
parentPort.postMessage('done');
`;

export async function makeSnapshot(from: string, to: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const thread = new Worker(worker, { eval: true, workerData: { from, to } });
  thread.once('message', () => resolve());
  thread.once('error', reject);
  thread.once('exit', (code) => reject(internal(`Copying the database ended with code ${code}`)));
  try {
    await promise;
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  } finally {
    await thread.terminate();
  }
  const file = openSync(to, 'r+');
  fsyncSync(file);
  closeSync(file);
}

/** What a copy holds, after checking that it is whole. Throws `precondition` for anything else. */
export function inspectSnapshot(path: string, knownLevels: number): LogHead {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const check = db.prepare('PRAGMA quick_check').get() as { quick_check: string };
    if (check.quick_check !== 'ok') throw precondition(`The copy of the database is damaged: ${check.quick_check}`);
    const head = db.prepare('SELECT incarnation, applied AS "index", hash, level FROM local_state').get() as LogHead | undefined;
    if (!head) throw precondition('The copy of the database says nothing of its place in the log');
    if (head.level > knownLevels) throw precondition(`The cluster is at schema level ${head.level}, this program knows levels up to ${knownLevels}: upgrade first`);
    return { ...head };
  } finally {
    db.close();
  }
}

/**
 * Replaces tables, views and rows by those of a copy, inside the transaction that is open on the connection. The copy is attached as `incoming`.
 * What belongs to the member alone stays, but for the list of levels.
 */
export function replaceContents(connection: SqliteConnection): void {
  const objects = (schema: string): { type: string; name: string; sql: string }[] =>
    connection.all<{ type: string; name: string; sql: string }>(`SELECT type, name, sql FROM ${schema}.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND substr(tbl_name, 1, ${localPrefix.length}) <> '${localPrefix}' ORDER BY rowid`);
  for (const type of ['trigger', 'view', 'index', 'table']) {
    for (const { name } of objects('main').filter((object) => object.type === type)) connection.exec(`DROP ${type} main."${name}"`);
  }
  const incoming = objects('incoming');
  for (const { name, sql } of incoming.filter(({ type }) => type === 'table')) {
    connection.exec(sql);
    connection.exec(`INSERT INTO main."${name}" SELECT * FROM incoming."${name}"`);
  }
  for (const { sql } of incoming.filter(({ type }) => type !== 'table')) connection.exec(sql);
  connection.exec('DELETE FROM main.local_levels; INSERT INTO main.local_levels SELECT * FROM incoming.local_levels; DELETE FROM main.local_log');
}
