import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { serverKeys } from '#config-schema';
import { isTrue, Mutex, type RequestContext } from '#kernel';
import { ChangeFeed, TransactionRunner } from '#platform/database';
import { EventBus } from '#platform/events';
import { checkEtag } from '#platform/http';
import { completeReplacement, effectiveChanges, passwordKey, readChanges, type ConfigChange } from './server-config.rules.js';
import { ServerConfigRepository } from './server-config.repository.js';
import { hashPassword, verifyPassword } from './trust-password.js';

/** Puts a new value into effect before it is stored; throws to refuse it. Called with the former value when a later step fails. */
export type ConfigApplier = (value: string) => Promise<void>;

/** Looks at a new value with the database at hand; throws to refuse it. */
export type ConfigCheck = (value: string) => Promise<void> | void;

/**
 * The server's configuration: `config` of `GET /1.0`. Values are held in memory; a commit here or on another member renews them and
 * tells whoever watches a key that changed.
 */
@Injectable()
export class ServerConfig implements OnModuleDestroy {
  private values: ReadonlyMap<string, string> | undefined;
  private readonly watchers: { key: string; notify: (value: string) => void }[] = [];
  private readonly appliers = new Map<string, ConfigApplier>();
  private readonly checks = new Map<string, ConfigCheck>();
  private readonly updating = new Mutex();
  private readonly stop: () => void;

  constructor(
    private readonly repository: ServerConfigRepository,
    private readonly transactions: TransactionRunner,
    private readonly events: EventBus,
    feed: ChangeFeed,
  ) {
    const stops = [feed.subscribe(['config'], () => this.renew()), feed.onReset(() => this.renew())];
    this.stop = () => stops.forEach((stop) => stop());
  }

  onModuleDestroy(): void {
    this.stop();
  }

  /** The value of a key, its default when it is not set, empty when it has neither. */
  get(key: string): string {
    return this.current().get(key) ?? serverKeys.find(key)?.default ?? '';
  }

  /** As a number; 0 when the key is empty. */
  int(key: string): number {
    return Number(this.get(key) || '0');
  }

  bool(key: string): boolean {
    return isTrue(this.get(key));
  }

  /** Calls `notify` after each change of the effective value, wherever it was made. */
  onChange(key: string, notify: (value: string) => void): void {
    this.watchers.push({ key, notify });
  }

  /** One per key: what must work before the value may be stored, such as listening on an address. */
  registerApplier(key: string, applier: ConfigApplier): void {
    this.appliers.set(key, applier);
  }

  /** One per key: what only a feature can know about a value. */
  registerCheck(key: string, check: ConfigCheck): void {
    this.checks.set(key, check);
  }

  /** What clients see, in order of keys; a password shows as `true`. */
  shown(): Record<string, string | boolean> {
    return showConfig(this.current());
  }

  /** Whether clients may trust themselves with a password at all. */
  get hasTrustPassword(): boolean {
    return this.current().has(passwordKey);
  }

  async isTrustPassword(password: string): Promise<boolean> {
    const stored = this.current().get(passwordKey);
    return stored !== undefined && verifyPassword(stored, password);
  }

  /** PUT (`replace`) or PATCH of `config`. Refusals have LXD's wording; nothing is stored when one key is refused. */
  async update(ctx: RequestContext, config: Readonly<Record<string, unknown>>, options: { replace: boolean; ifMatch?: string }): Promise<void> {
    await this.updating.run(async () => {
      checkEtag(options.ifMatch, this.shown());
      const before = this.current();
      const requested = readChanges(config);
      const changes = effectiveChanges(before, options.replace ? completeReplacement(before, config, requested) : requested);
      for (const [key, value] of changes) {
        if (value !== null) await this.checks.get(key)?.(value);
      }
      const password = changes.get(passwordKey);
      if (typeof password === 'string') changes.set(passwordKey, await hashPassword(password));
      await this.applyAndStore(ctx, before, changes, options.ifMatch);
    });
    this.events.lifecycle({ action: 'config-updated', source: '/1.0', project: ctx.project, requestor: ctx.requestor });
  }

  private async applyAndStore(ctx: RequestContext, before: ReadonlyMap<string, string>, changes: ConfigChange, ifMatch: string | undefined): Promise<void> {
    const applied: string[] = [];
    try {
      for (const [key, value] of changes) {
        const applier = this.appliers.get(key);
        if (applier === undefined) continue;
        await applier(value ?? serverKeys.find(key)?.default ?? '');
        applied.push(key);
      }
      await this.transactions.run(ctx, (tx) => {
        checkEtag(ifMatch, showConfig(this.repository.loadInside(tx)));
        this.repository.writeGlobal(tx, changes);
      });
      this.repository.writeLocal(changes);
    } catch (error) {
      for (const key of applied.reverse()) await this.appliers.get(key)?.(before.get(key) ?? serverKeys.find(key)?.default ?? '');
      throw error;
    }
    this.renew();
  }

  private current(): ReadonlyMap<string, string> {
    return (this.values ??= this.repository.load());
  }

  private renew(): void {
    const before = this.values;
    this.values = this.repository.load();
    if (before === undefined) return;
    for (const { key, notify } of this.watchers) {
      if (before.get(key) !== this.values.get(key)) notify(this.get(key));
    }
  }
}

function showConfig(values: ReadonlyMap<string, string>): Record<string, string | boolean> {
  return Object.fromEntries([...values].map(([key, value]) => [key, key === passwordKey ? true : value]));
}
