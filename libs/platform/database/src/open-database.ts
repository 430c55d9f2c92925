import { closeSync, mkdirSync, openSync } from 'node:fs';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember, SilentLogger, SystemClock, type Clock, type Logger } from '#kernel';
import { Ballast, defaultBallast, type BallastOptions } from './ballast.js';
import { ChangeFeed } from './change-feed.js';
import { Database } from './database.js';
import { EntryApplier } from './entry-applier.js';
import { LocalLog, localLogSchema, type LocalLogLimits } from './log/local-log.js';
import type { LogHead, ReplicatedLog } from '#platform/raft';
import { DisconnectedLog } from './log/disconnected-log.js';
import { LocalStore } from './local-store.js';
import { migrations as allMigrations } from './migrations/index.js';
import { LocalState } from './schema/local-state.js';
import { Replica } from './replica.js';
import { checkLevels, migrate, type Migrations } from './schema/migrator.js';
import { SqlConsole } from './sql-console.js';
import { SqliteConnection } from './sqlite-connection.js';
import { describeFailure } from './sqlite-errors.js';
import { TransactionRunner } from './transaction-runner.js';
import { TypeOrmConnection } from './typeorm/typeorm-connection.js';
import { Writer } from './writer.js';

export interface OpenOptions {
  /** `<state>/database`; made if it is missing. The global database is `global/db.bin` in it, this member's own `local.db`. */
  readonly directory: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Its number stands in every entry it writes. */
  readonly member?: LocalMember;
  readonly ballast?: Partial<Omit<BallastOptions, 'directory'>>;
  /** FULL: what was acknowledged survives a power cut. Anything less is for tests, and for members whose log is elsewhere. */
  readonly synchronous?: 'FULL' | 'NORMAL' | 'OFF';
  readonly localLog?: LocalLogLimits;
  /** Another log than the local table. `from` is where this file stands. */
  readonly log?: (from: LogHead) => ReplicatedLog;
  /** The file as far as it exists decides the history unless this names one (joining, tests). */
  readonly incarnation?: string;
  readonly migrations?: Migrations;
}

/** Everything over one database directory, opened together and closed together. */
@Injectable()
export class OpenDatabase implements OnApplicationShutdown {
  private constructor(
    readonly database: Database,
    readonly runner: TransactionRunner,
    readonly feed: ChangeFeed,
    readonly localStore: LocalStore,
    readonly console: SqlConsole,
    readonly replica: Replica,
    readonly ballast: Ballast,
    private readonly closers: (() => Promise<void> | void)[],
  ) {}

  /** Throws `precondition` if the file is of a level this program does not know, `unavailable` if the disk is full. */
  static async open(options: OpenOptions): Promise<OpenDatabase> {
    const closers: (() => Promise<void> | void)[] = [];
    try {
      return await openParts(options, closers, (...parts) => new OpenDatabase(...parts));
    } catch (error) {
      for (const close of closers.toReversed()) await close();
      throw describeFailure(error, options.directory);
    }
  }

  /** Called when no transaction can come any more, before the files are closed. */
  beforeClose(step: () => Promise<void> | void): void {
    this.closers.push(step);
  }

  /** Waits for transactions under way. */
  async close(): Promise<void> {
    await this.runner.close();
    for (const close of this.closers.toReversed()) await close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }
}

type Make = (...parts: [Database, TransactionRunner, ChangeFeed, LocalStore, SqlConsole, Replica, Ballast, (() => Promise<void> | void)[]]) => OpenDatabase;

async function openParts(options: OpenOptions, closers: (() => Promise<void> | void)[], make: Make): Promise<OpenDatabase> {
  const { directory, logger = new SilentLogger(), clock = new SystemClock(), migrations = allMigrations, synchronous = 'FULL' } = options;
  const path = makeFiles(directory);
  const connection = new SqliteConnection({ path, synchronous });
  closers.push(() => connection.close());
  const writer = await openWriter(connection, { ...options, logger, clock }, migrations);
  const applier = new EntryApplier(writer, migrations);
  const reader = new SqliteConnection({ path, readOnly: true });
  closers.push(() => reader.close());
  const writeOrm = await TypeOrmConnection.open(connection);
  const readOrm = await TypeOrmConnection.open(reader);
  closers.push(() => writeOrm.close(), () => readOrm.close());
  const ballast = new Ballast({ directory, ...defaultBallast, ...options.ballast }, logger);
  closers.push(() => ballast.stop());
  const localStore = new LocalStore(directory, { synchronous, makeRoom: () => ballast.release() });
  closers.push(() => localStore.close());
  const database = new Database({ writer, applier, reader, typeorm: readOrm });
  const runner = new TransactionRunner({ writer, applier, typeorm: writeOrm, ballast, directory, assertFresh: (ctx) => database.assertFresh(ctx) });
  const replica = new Replica({ writer, applier, database, typeorm: writeOrm, migrations, directory, makeEmpty: (folder) => makeEmptyFile(folder, migrations) });
  closers.push(() => replica.stop());
  return make(database, runner, writer.parts.feed, localStore, new SqlConsole(database, runner, localStore), replica, ballast, closers);
}

/** A database as a first start makes it, closed: what a member that leaves a cluster becomes. */
async function makeEmptyFile(directory: string, migrations: Migrations): Promise<string> {
  const open = await OpenDatabase.open({ directory, migrations, synchronous: 'NORMAL', ballast: { bytes: 0 } });
  await open.close();
  return `${directory}/global/db.bin`;
}

/** The files are made before SQLite does, so that nobody else on the host can read them at any time. */
function makeFiles(directory: string): string {
  mkdirSync(`${directory}/global`, { recursive: true, mode: 0o700 });
  const path = `${directory}/global/db.bin`;
  for (const file of [path, `${directory}/local.db`]) closeSync(openSync(file, 'a', 0o600));
  return path;
}

async function openWriter(connection: SqliteConnection, options: OpenOptions & { logger: Logger; clock: Clock }, migrations: Migrations): Promise<Writer> {
  connection.exec('BEGIN IMMEDIATE');
  const state = new LocalState(connection, options.incarnation);
  connection.exec(localLogSchema);
  checkLevels(migrations, state.levels());
  connection.exec('COMMIT');
  const log = options.log?.(state.head) ?? (state.clusterSettings === null ? new LocalLog(connection, options.localLog) : new DisconnectedLog());
  const writer = new Writer({
    connection, state, log, clock: options.clock, logger: options.logger, member: options.member ?? new LocalMember(), feed: new ChangeFeed(options.logger),
  });
  // A member of a cluster takes its levels from the log; alone, it decides by itself.
  if (!options.log && state.clusterSettings === null) await migrate(writer, migrations);
  return writer;
}
