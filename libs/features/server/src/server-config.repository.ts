import { Injectable } from '@nestjs/common';
import { Database, LocalStore, type Tx } from '#platform/database';
import { serverKeys } from '#config-schema';

const bucket = 'config';

/** Whether a key belongs to this member alone. */
export function isLocalKey(name: string): boolean {
  return serverKeys.find(name)?.scope === 'local';
}

interface ConfigRow {
  key: string;
  value: string;
}

/** Where the server's keys are stored: `config` for the cluster, the local store for this member. */
@Injectable()
export class ServerConfigRepository {
  constructor(
    private readonly database: Database,
    private readonly local: LocalStore,
  ) {}

  /** Everything that is set, in order of keys. */
  load(): Map<string, string> {
    return this.combine(this.database.read.all<ConfigRow>('SELECT key, value FROM config'));
  }

  /** The same as seen inside a transaction, for decisions. */
  loadInside(tx: Tx): Map<string, string> {
    return this.combine(tx.sql.all<ConfigRow>('SELECT key, value FROM config'));
  }

  writeGlobal(tx: Tx, changes: ReadonlyMap<string, string | null>): void {
    for (const [key, value] of changes) {
      if (isLocalKey(key)) continue;
      if (value === null) tx.sql.run('DELETE FROM config WHERE key = ?', key);
      else tx.sql.run('INSERT INTO config (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value);
    }
  }

  writeLocal(changes: ReadonlyMap<string, string | null>): void {
    const own = new Map([...changes].filter(([key]) => isLocalKey(key)));
    if (own.size > 0) this.local.setMany(bucket, own);
  }

  private combine(global: readonly ConfigRow[]): Map<string, string> {
    const own = [...this.local.all(bucket)].filter(([key]) => isLocalKey(key));
    const all = [...global.map(({ key, value }): [string, string] => [key, value]), ...own];
    return new Map(all.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
