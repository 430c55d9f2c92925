import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import type { ConfigMap } from '#api-types';
import { LocalStore } from '#platform/database';

const bucket = 'instance-volatile';

/** What this member alone knows of an instance. */
export interface MemberState {
  /** Host-derived `volatile.*` keys; an empty value hides the row's. */
  readonly volatile: Readonly<ConfigMap>;
  /** RFC 3339; empty where it never ran here. */
  readonly lastUsedAt: string;
  /** It was stopped here while there was no quorum: it ran here when one was last seen. */
  readonly ranWithoutQuorum?: boolean;
  /** It was frozen for a copy to another member, and is to go on. */
  readonly heldStill?: boolean;
}

const unknown: MemberState = { volatile: {}, lastUsedAt: '' };

/**
 * `volatile.*` keys the host decided and the time of the last start, by the instance's id: kept beside the replicated rows, because
 * starts and stops must work, and be remembered, without a quorum (hazards D2). Read from memory, written through to the disk.
 */
@Injectable()
export class MemberVolatileStore {
  private known: Map<number, MemberState> | undefined;
  private deferred: Map<number, MemberState | null> | undefined;
  private readonly listeners: ((id: number) => void)[] = [];

  constructor(
    private readonly store: LocalStore,
    private readonly logger: Logger,
  ) {}

  get(id: number): MemberState {
    return this.states().get(id) ?? unknown;
  }

  /** Called with the id of each instance of which something else is known now. */
  onChange(listener: (id: number) => void): void {
    this.listeners.push(listener);
  }

  ids(): number[] {
    return [...this.states().keys()];
  }

  /** Lays keys over what is known; an empty value hides the row's key. */
  merge(id: number, volatile: Readonly<ConfigMap>, lastUsedAt?: string): void {
    const before = this.get(id);
    const after = { ...before, volatile: { ...before.volatile, ...volatile }, lastUsedAt: lastUsedAt ?? before.lastUsedAt };
    if (lastUsedAt === undefined && Object.keys(volatile).every((key) => before.volatile[key] === volatile[key])) return;
    this.put(id, after);
  }

  /** Replaces all keys. */
  replace(id: number, volatile: Readonly<ConfigMap>): void {
    this.put(id, { ...this.get(id), volatile });
  }

  setRanWithoutQuorum(id: number, ranWithoutQuorum: boolean): void {
    const before = this.get(id);
    if ((before.ranWithoutQuorum ?? false) !== ranWithoutQuorum) this.put(id, { ...before, ranWithoutQuorum });
  }

  setHeldStill(id: number, heldStill: boolean): void {
    const before = this.get(id);
    if ((before.heldStill ?? false) !== heldStill) this.put(id, { ...before, heldStill });
  }

  forget(id: number): void {
    if (!this.states().has(id)) return;
    this.states().delete(id);
    this.write(id, null);
  }

  private put(id: number, state: MemberState): void {
    this.states().set(id, state);
    this.write(id, state);
  }

  /** Writes of one turn of the event loop become one commit. */
  private write(id: number, state: MemberState | null): void {
    for (const listener of this.listeners) listener(id);
    if (this.deferred === undefined) {
      this.deferred = new Map();
      queueMicrotask(() => this.flush());
    }
    this.deferred.set(id, state);
  }

  private flush(): void {
    const entries = this.deferred ?? new Map<number, MemberState | null>();
    this.deferred = undefined;
    try {
      this.store.setMany(bucket, new Map([...entries].map(([id, state]) => [String(id), state === null ? null : JSON.stringify(state)])));
    } catch (error) {
      // What is lost is a memory of the host's state, which the next change or the reconciler writes again; instances go on.
      this.logger.error('Failed writing what this member knows of its instances', { error: messageOf(error) });
    }
  }

  private states(): Map<number, MemberState> {
    this.known ??= new Map([...this.store.all(bucket)].map(([id, text]) => [Number(id), JSON.parse(text) as MemberState]));
    return this.known;
  }
}
