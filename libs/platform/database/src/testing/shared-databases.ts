import { internalContext, LocalMember } from '#kernel';
import type { OpenDatabase } from '../open-database.js';
import { openTemporaryDatabase } from '../temporary-database.js';
import { MemoryLog } from './memory-log.js';

/** One member of a cluster as far as its database goes. */
export interface SharedDatabase {
  readonly member: LocalMember;
  readonly address: string;
  readonly db: OpenDatabase;
}

export interface SharedDatabases extends AsyncDisposable {
  readonly log: MemoryLog;
  readonly members: SharedDatabase[];
  /** Every member has applied what was written through any. */
  settle(): Promise<void>;
  /** One more, with all rows; its own row is `state`. */
  join(state?: string): Promise<SharedDatabase>;
}

/** For specs: databases of members `m1`, `m2`, ... (ids 1, 2, ...) that share one log in memory. */
export async function openSharedDatabases(count: number): Promise<SharedDatabases> {
  const first = await openTemporaryDatabase();
  const log = new MemoryLog(first.database.head.incarnation);
  log.entries.push(...(await first.database.entries(1)));
  const members: SharedDatabase[] = [];
  const ctx = internalContext();
  const settle = async (): Promise<void> => { await Promise.all(members.map(({ db }) => db.database.barrier(ctx))); };
  const join = async (state = 'created'): Promise<SharedDatabase> => {
    const id = members.length + 1;
    const member = Object.assign(new LocalMember(), { id, name: `m${id}`, clustered: true });
    const address = `127.0.0.${id}:8443`;
    const db = await openTemporaryDatabase({ incarnation: log.incarnation, log: () => log, member });
    await db.database.barrier(ctx);
    await db.runner.run(ctx, (tx) => {
      if (id === 1) tx.sql.run("UPDATE nodes SET name = 'm1', address = ? WHERE id = 1", address);
      else tx.sql.run("INSERT INTO nodes (id, name, address, architecture, state) VALUES (?, ?, ?, 'x86_64', ?)", id, member.name, address, state);
    });
    const shared = { member, address, db };
    members.push(shared);
    await settle();
    return shared;
  };
  for (let made = 0; made < count; made++) await join();
  return {
    log, members, settle, join,
    [Symbol.asyncDispose]: async () => { for (const { db } of [...members.map(({ db }) => ({ db })), { db: first }]) await db.close(); },
  };
}
