import { messageOf, type LocalMember, type Logger } from '#kernel';
import { LogTrimmer, type EtcdClient, type LogKeys } from '#platform/raft';
import type { Database } from '../database.js';
import type { Replica } from '../replica.js';
import { memberRows } from './member-rows.js';

const periodMs = 5000;

export interface LogUpkeepParts {
  readonly client: EtcdClient;
  readonly keys: LogKeys;
  readonly member: LocalMember;
  readonly replica: Replica;
  readonly database: Database;
  readonly logger: Logger;
}

/** Tells the others how far this member's disk is, and lets the one whose voter leads cut off what nobody needs. */
export class LogUpkeep {
  private readonly trimmer: LogTrimmer;
  private timer: NodeJS.Timeout | undefined;
  private told = -1;

  constructor(private readonly parts: LogUpkeepParts) {
    this.trimmer = new LogTrimmer(parts.client, parts.keys, parts.logger);
  }

  start(): void {
    this.timer = setInterval(() => void this.round(), periodMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    const { client, keys, member, replica, database, logger } = this.parts;
    try {
      const { flushed } = replica;
      if (flushed !== this.told) {
        await client.put({ key: keys.flushedOf(member.id), value: Buffer.from(String(flushed)) });
        this.told = flushed;
      }
      if (await this.leads()) await this.trimmer.trim(memberRows(database.read).map(({ id }) => id));
    } catch (error) {
      logger.debug('Upkeep of the log failed', { error: messageOf(error) });
    }
  }

  /** Of several that think so, each does what the others do: the trimmer compares what it saw. */
  private async leads(): Promise<boolean> {
    const { client, member, database } = this.parts;
    const endpoint = client.endpointList[0]!;
    const { leader, header } = await client.status(endpoint);
    const self = memberRows(database.read).find(({ id }) => id === member.id);
    return self?.voter === 'voter' && leader === header.memberId;
  }
}
