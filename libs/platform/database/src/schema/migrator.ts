import { createHash } from 'node:crypto';
import { internal, newUuid, precondition } from '#kernel';
import type { LevelPayload } from '#platform/raft';
import type { Migration } from '../migrations/migration.js';
import type { SqliteConnection } from '../sqlite-connection.js';
import { headAfter, type Writer } from '../writer.js';
import { readLayout, type Layout } from './layout.js';

/** In order, levels 1, 2, 3, ... without gaps. */
export type Migrations = readonly Migration[];

export function migrationByLevel(migrations: Migrations, level: number): Migration | undefined {
  return migrations[level - 1];
}

/** What identifies a migration: its text. */
export function sqlHash(migration: Migration): string {
  return createHash('sha256').update(migration.sql).digest('hex');
}

/** Inside an open transaction with foreign keys off; returns the layout it led to. Throws if the result cannot be replicated. */
export function runMigration(connection: SqliteConnection, migration: Migration): Layout {
  connection.exec(migration.sql);
  const broken = connection.all('SELECT "table" FROM pragma_foreign_key_check');
  if (broken.length > 0) throw internal(`Schema level ${migration.level} leaves ${broken.length} rows with broken references`);
  return readLayout(connection);
}

/**
 * Refuses a file this program cannot serve: of a newer level, or of a level it knows by another text.
 * `levels` are the levels recorded in the file with the hashes of their texts.
 */
export function checkLevels(migrations: Migrations, levels: ReadonlyMap<number, string>): void {
  const newest = migrations.length;
  const level = Math.max(0, ...levels.keys());
  if (level > newest) throw precondition(`The database is at schema level ${level}, this program knows levels up to ${newest}: upgrade it first`);
  for (const [known, hash] of levels) {
    const migration = migrationByLevel(migrations, known);
    if (migration && sqlHash(migration) !== hash) throw precondition(`Schema level ${known} of the database was made by another text than this program has: it cannot be opened by this build`);
  }
}

/**
 * Raises the schema to the newest level this program knows, one entry of the log per level, each in its own transaction: killed
 * between two, the next start goes on. A member that stands alone decides this by itself.
 */
export async function migrate(writer: Writer, migrations: Migrations): Promise<void> {
  for (const migration of migrations.slice(writer.head.level)) {
    await writer.begin(false);
    try {
      const layout = runMigration(writer.connection, migration);
      const payload: LevelPayload = { level: migration.level, sqlHash: sqlHash(migration), layoutHash: layout.hash };
      const entry = writer.sealNext({ id: newUuid(), requestor: 'internal:', kind: 'level', payload: new TextEncoder().encode(JSON.stringify(payload)) });
      const { appended } = await writer.log.append(writer.head, entry);
      if (!appended) throw internal(`Schema level ${migration.level} was decided elsewhere at the same time: start again`);
      writer.parts.state.recordLevel(migration.level, payload.sqlHash, entry.index, entry.time);
      writer.commit(headAfter(entry, migration.level));
      writer.layout = layout;
    } catch (error) {
      writer.rollback();
      throw error;
    }
  }
}
