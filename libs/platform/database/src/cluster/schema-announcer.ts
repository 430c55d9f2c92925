import { internalContext, messageOf, type Logger } from '#kernel';
import type { OpenDatabase } from '../open-database.js';
import { memberRow, memberRows } from './member-rows.js';

const retryMs = 2000;

/**
 * Says in this member's row which schema level its program knows, and raises the cluster's once every member's row says enough (architecture 3, Schema). Woken by
 * the rows; tries again only after a failure.
 */
export class SchemaAnnouncer {
  private memberId: number | null = null;
  private working = false;
  private again = false;

  constructor(private readonly open: OpenDatabase, private readonly logger: Logger) {
    open.feed.subscribe(['nodes'], () => this.look());
    open.feed.onReset(() => this.look());
  }

  /** From now on this member is `memberId` of a cluster; null: it stands alone. */
  follow(memberId: number | null): void {
    this.memberId = memberId;
    this.look();
  }

  /** What the row of this member says. */
  version(): string {
    return JSON.stringify({ level: this.open.replica.knownLevel });
  }

  private look(): void {
    this.again = true;
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    try {
      while (this.again) {
        this.again = false;
        if (this.isWanted()) await this.announce();
      }
    } finally {
      this.working = false;
    }
  }

  private isWanted(): boolean {
    if (this.memberId === null) return false;
    const { read, head } = this.open.database;
    const self = memberRow(read, this.memberId);
    return (self !== undefined && self.level !== this.open.replica.knownLevel) || this.common() > head.level;
  }

  /** The level every member knows; 0 as long as one has not said. */
  private common(): number {
    const levels = memberRows(this.open.database.read).map(({ level }) => level);
    return levels.length === 0 ? 0 : Math.min(...levels);
  }

  private async announce(): Promise<void> {
    const { open, memberId } = this;
    const ctx = internalContext();
    try {
      await open.database.assertFresh(ctx);
      if (memberId === null || this.memberId !== memberId || !this.isWanted()) return;
      const self = memberRow(open.database.read, memberId);
      if (self !== undefined && self.level !== open.replica.knownLevel) {
        await open.runner.run(ctx, (tx) => tx.sql.run('UPDATE nodes SET version = json_patch(version, ?) WHERE id = ?', this.version(), memberId));
      }
      const common = this.common();
      if (common > open.database.head.level) await open.replica.raiseTo(ctx, common);
    } catch (error) {
      this.logger.debug('Failed announcing this member\'s schema level', { error: messageOf(error) });
      setTimeout(() => this.look(), retryMs).unref();
    }
  }
}
