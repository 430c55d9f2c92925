import { mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { conflict, type StateDirectory } from '#kernel';

/**
 * Keeps a second daemon off the same state directory (hazards B1). The lock is SQLite's on a file of its own, because Node has no flock and the
 * daemon loads no native code; the kernel drops it when the process ends, however it ends.
 */
export class StateLock {
  private constructor(private readonly database: DatabaseSync) {}

  static acquire(state: StateDirectory): StateLock {
    mkdirSync(state.database, { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(`${state.database}/daemon.lock`, { timeout: 0 });
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    } catch (error) {
      database.close();
      throw conflict(`Another daemon runs on ${state.root}`, { cause: error });
    }
    return new StateLock(database);
  }

  release(): void {
    this.database.close();
  }
}
