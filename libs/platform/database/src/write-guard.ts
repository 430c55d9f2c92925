import { constants, type DatabaseSync } from 'node:sqlite';
import { localPrefix } from './schema/layout.js';

const { SQLITE_OK, SQLITE_DENY } = constants;
const rowWrites = new Set([constants.SQLITE_INSERT, constants.SQLITE_UPDATE, constants.SQLITE_DELETE]);
const reading = new Set([constants.SQLITE_SELECT, constants.SQLITE_READ, constants.SQLITE_FUNCTION, constants.SQLITE_RECURSIVE, constants.SQLITE_SAVEPOINT]);
const readingPragmas = new Set(['table_info', 'table_xinfo', 'table_list', 'index_list', 'index_info', 'foreign_key_list', 'foreign_key_check']);

/**
 * What the function of a transaction may do on the write connection: read, and change rows of replicated tables. Anything else would
 * not be in the changeset (schema, local tables) or would break the transaction around it (BEGIN, COMMIT, pragmas).
 */
export class WriteGuard {
  /** True while the function of a transaction has the connection. */
  rowsOnly = false;

  constructor(db: DatabaseSync) {
    db.setAuthorizer((action, first) => (this.rowsOnly && !allowed(action, first ?? '') ? SQLITE_DENY : SQLITE_OK));
  }
}

function allowed(action: number, first: string): boolean {
  if (reading.has(action)) return true;
  if (rowWrites.has(action)) return !first.startsWith(localPrefix) && !first.startsWith('sqlite_');
  return action === constants.SQLITE_PRAGMA && readingPragmas.has(first.toLowerCase());
}
