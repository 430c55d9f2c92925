import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { internalContext, messageOf, randomHex, wrap, type AppError, type Logger, type StateDirectory } from '#kernel';
import type { RefusalReason } from '../entry-applier.js';
import type { OpenDatabase } from '../open-database.js';
import type { ClusterSettings } from './cluster-settings.js';
import type { LogConnection } from './log-connection.js';

/** What no waiting mends: the file has to be replaced by a copy of another member's. */
const needCopy: ReadonlySet<RefusalReason> = new Set(['index', 'previous', 'hash', 'layout', 'unknown-table', 'conflict']);

/** In `backups/`: what this member held when its copy differed from the others' for the last time. */
const divergedCopy = 'diverged.db';

/** Opens a copy of another member's database; which member is its own choice. */
export type SnapshotSource = () => Promise<Readable>;

export interface CopyKeeperParts {
  readonly open: OpenDatabase;
  readonly state: StateDirectory;
  readonly logger: Logger;
}

/** This member's database as a whole: given to others, and replaced by theirs. */
export class CopyKeeper {
  /** Where to fetch a copy from when this member's file cannot go on by itself. */
  source: SnapshotSource | null = null;
  private replacing: Promise<void> | null = null;

  constructor(private readonly parts: CopyKeeperParts) {}

  /** A copy for another member. */
  async give(): Promise<Readable> {
    const { open } = this.parts;
    await open.database.barrier(internalContext());
    const path = this.temporary('copy');
    await open.database.copyTo(path);
    const stream = createReadStream(path);
    // The name is not needed once it is open, and nothing is left if this process ends.
    stream.once('open', () => void rm(path, { force: true }));
    stream.once('close', () => void rm(path, { force: true }));
    return stream;
  }

  /** Takes a copy in place of what is here. `exchanged` as for `Replica.install`. */
  async install(fetch: SnapshotSource, settings: ClusterSettings, { log }: Pick<LogConnection, 'log'>, exchanged?: () => void): Promise<void> {
    const path = this.temporary('incoming');
    try {
      await pipeline(await fetch(), createWriteStream(path, { mode: 0o600, flush: true }));
      await this.parts.open.replica.install(path, JSON.stringify(settings), log, exchanged);
    } finally {
      await rm(path, { force: true });
    }
  }

  /** An entry cannot be applied here: a newer schema waits for an upgrade, everything else for another member's copy. */
  onRefused(connection: LogConnection, error: AppError): void {
    const reason = error.details['reason'] as RefusalReason | undefined;
    if (reason === undefined || !needCopy.has(reason) || this.source === null || this.replacing !== null) return;
    // The next look at the log, a second later, tries again.
    void this.replace(connection, this.source, error.message).catch((failure: unknown) => this.parts.logger.error('Failed fetching the database from another member', { error: messageOf(failure) }));
  }

  /** The content here is not what the others hold. It is kept aside, the last such only. */
  async refetch(connection: LogConnection, fetch: SnapshotSource, reason: string): Promise<void> {
    const { open, state } = this.parts;
    await mkdir(state.backups, { recursive: true, mode: 0o700 });
    const path = this.temporary('diverged');
    await open.database.copyTo(path);
    await rename(path, join(state.backups, divergedCopy));
    await this.replace(connection, fetch, reason);
  }

  /** One after the other; whoever comes while one is under way has it as well. */
  private replace(connection: LogConnection, fetch: SnapshotSource, reason: string): Promise<void> {
    const { logger } = this.parts;
    this.replacing ??= (async () => {
      logger.warn('Fetching another member\'s copy of the database', { reason });
      await connection.hold(connection.settings.memberId, () => this.install(fetch, connection.settings, connection)).catch((error: unknown) => {
        throw wrap(error, 'Failed to fetch the database of the cluster');
      });
      logger.info('The database was fetched from another member');
    })().finally(() => {
      this.replacing = null;
    });
    return this.replacing;
  }

  private temporary(purpose: string): string {
    return join(this.parts.state.database, `${purpose}-${randomHex(6)}.db`);
  }
}
