import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { ChangesetParser, type ChangedValue } from './log/changeset-parser.js';
import type { SqlValue } from './sql.js';

/** One row that is different now. */
export interface RowChange {
  readonly table: string;
  readonly op: 'insert' | 'update' | 'delete';
  /** Values of the primary key, in the order of the key. */
  readonly key: SqlValue[];
  /** Values by position of the column; undefined where an update says nothing. Null where there is no such side. */
  readonly before: readonly ChangedValue[] | null;
  readonly after: readonly ChangedValue[] | null;
}

export type ChangeListener = (changes: RowChange[]) => void;

/**
 * Says which rows changed, whoever changed them: a transaction here or an entry of another member. Listeners are called in order of
 * commits, after the commit and before its caller goes on, so a cache emptied here is never read stale by the writer itself.
 */
@Injectable()
export class ChangeFeed {
  private readonly listeners = new Map<string, Set<ChangeListener>>();
  private readonly resetListeners = new Set<() => void>();

  constructor(private readonly logger: Logger) {}

  /** Returns the way to stop. A listener must be quick and must not throw; what it throws is logged. */
  subscribe(tables: readonly string[], listener: ChangeListener): () => void {
    for (const table of tables) {
      const set = this.listeners.get(table) ?? new Set();
      this.listeners.set(table, set.add(listener));
    }
    return () => {
      for (const table of tables) {
        const set = this.listeners.get(table);
        set?.delete(listener);
        if (set?.size === 0) this.listeners.delete(table);
      }
    };
  }

  /**
   * `listener` is called when every row may be another one now: this member joined or left a cluster, or fetched a snapshot. Caches drop all they
   * hold, reconcilers look at everything. Returns the way to stop.
   */
  onReset(listener: () => void): () => void {
    this.resetListeners.add(listener);
    return () => this.resetListeners.delete(listener);
  }

  /** Called after the whole content was replaced. */
  reset(): void {
    for (const listener of this.resetListeners) {
      try {
        listener();
      } catch (error) {
        this.logger.error('A listener to a replaced database failed', { err: messageOf(error) });
      }
    }
  }

  /** Called by the writer after each commit with the changeset that was committed. */
  publish(changeset: Uint8Array): void {
    if (this.listeners.size === 0 || changeset.length === 0) return;
    const changes = new ChangesetParser(changeset).parse((table) => this.listeners.has(table));
    const deliveries = new Map<ChangeListener, RowChange[]>();
    for (const change of changes) {
      for (const listener of this.listeners.get(change.table) ?? []) {
        const mine = deliveries.get(listener);
        if (mine) mine.push(change);
        else deliveries.set(listener, [change]);
      }
    }
    for (const [listener, mine] of deliveries) {
      try {
        listener(mine);
      } catch (error) {
        this.logger.error('A listener to row changes failed', { err: messageOf(error) });
      }
    }
  }
}
