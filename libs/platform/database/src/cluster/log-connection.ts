import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, messageOf, type LocalMember, type Logger } from '#kernel';
import { decodeEntry, decodeHead, EtcdLog, prefixEnd, QuorumMonitor, type EtcdClient } from '#platform/raft';
import type { Database } from '../database.js';
import type { Replica } from '../replica.js';
import type { ClusterSettings } from './cluster-settings.js';
import { LogUpkeep } from './log-upkeep.js';

/** A watch that ended is opened again after this long. */
const watchPauseMs = 100;
const holdSeconds = 60;

export interface LogConnectionParts {
  readonly settings: ClusterSettings;
  readonly client: EtcdClient;
  readonly database: Database;
  readonly replica: Replica;
  readonly member: LocalMember;
  readonly logger: Logger;
  /** Until then what the cluster knows of this member's disk must stay: the start of its voter is judged by it. */
  readonly voterResumed: Promise<void>;
  /** An entry of the log does not fit this file. */
  readonly onRefused: (error: AppError) => void;
}

/** One history as this member follows it, from joining it to leaving it. */
export class LogConnection {
  readonly log: EtcdLog;
  readonly quorum: QuorumMonitor;
  private readonly upkeep: LogUpkeep;
  private readonly closing = new AbortController();

  constructor(private readonly parts: LogConnectionParts) {
    const { client, settings, member, logger, replica } = parts;
    this.quorum = new QuorumMonitor(logger);
    if (settings.leftBehind !== undefined) this.quorum.fence(settings.leftBehind);
    this.log = new EtcdLog({ client, incarnation: settings.incarnation, member, quorum: this.quorum, logger });
    this.upkeep = new LogUpkeep({ client, keys: this.log.keys, member, replica, database: parts.database, logger });
  }

  get settings(): ClusterSettings {
    return this.parts.settings;
  }

  get client(): EtcdClient {
    return this.parts.client;
  }

  start(): void {
    // What is still written to a history that was left behind is nothing to follow.
    if (this.settings.leftBehind !== undefined) return;
    this.quorum.start(async (timeoutMs) => {
      const { kvs } = await this.client.range({ key: this.log.keys.head }, { timeoutMs });
      // The fallback of the watch.
      const head = kvs[0] && decodeHead(kvs[0].value);
      if (head) await this.follow((database) => database.follow(head.index));
    });
    void this.watch();
    void this.parts.voterResumed.then(() => { if (!this.closing.signal.aborted) this.upkeep.start(); });
  }

  close(): void {
    this.closing.abort();
    this.quorum.stop();
    this.upkeep.stop();
    this.client.close();
  }

  /** Runs `fetch` while what this member has not applied yet is kept from being trimmed (hazards C4). */
  async hold(memberId: number, fetch: () => Promise<void>): Promise<void> {
    const { client, log } = this;
    const { id } = await client.grantLease(holdSeconds);
    const renewing = setInterval(() => void client.keepLeaseAlive(id).catch(() => undefined), (holdSeconds * 1000) / 3);
    try {
      const { index } = await log.latest();
      await client.put({ key: log.keys.hold(memberId), value: Buffer.from(String(index)), lease: id });
      await fetch();
    } finally {
      clearInterval(renewing);
      await client.revokeLease(id).catch(() => undefined);
    }
  }

  /**
   * Entries arrive here as they are appended. A watch may end or skip without saying so: an entry is taken only right after the one before it, and
   * the probe of the quorum notices what never came.
   */
  private async watch(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        const { entries } = this.log.keys;
        for await (const { created, events } of this.client.watch(entries, prefixEnd(entries), undefined, signal)) {
          if (created) await this.follow((database) => database.follow());
          // Trimmed entries are events, too.
          const appended = events.filter(({ type }) => type === 'PUT').map(({ kv }) => decodeEntry(kv.value));
          if (appended.length > 0) await this.follow((database) => database.take(appended));
        }
      } catch (error) {
        if (!signal.aborted) this.parts.logger.debug('The watch of the log ended', { error: messageOf(error) });
      }
      await sleep(watchPauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async follow(apply: (database: Database) => Promise<void>): Promise<void> {
    const { database, onRefused, logger } = this.parts;
    try {
      await apply(database);
    } catch (error) {
      if (AppError.is(error) && error.details['reason'] !== undefined) onRefused(error);
      else if (!this.closing.signal.aborted) logger.debug('Failed following the log', { error: messageOf(error) });
    }
  }
}
