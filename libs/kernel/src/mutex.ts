/** First come, first served. Hold it across awaits; it is not re-entrant. */
export class Mutex {
  private tail: Promise<void> = Promise.resolve();

  /** Resolves with a release function once everybody before has released. */
  acquire(): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.tail;
    this.tail = promise;
    return before.then(() => resolve);
  }

  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const release = await this.acquire();
    try {
      return await work();
    } finally {
      release();
    }
  }
}

/** One mutex per key, dropped when nobody waits for it. */
export class KeyedMutex {
  private readonly held = new Map<string, { mutex: Mutex; users: number }>();

  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    const entry = this.held.get(key) ?? { mutex: new Mutex(), users: 0 };
    this.held.set(key, entry);
    entry.users++;
    try {
      return await entry.mutex.run(work);
    } finally {
      if (--entry.users === 0) this.held.delete(key);
    }
  }
}
