import type { InstanceEvent } from '#ports';

/** Hands events to whoever listens at that moment; nothing is kept for later. */
export class InstanceEvents {
  private readonly listeners = new Set<(event: InstanceEvent) => void>();

  /** Whether a daemon listens: if so, it decides what follows from a reboot. */
  get isWatched(): boolean {
    return this.listeners.size > 0;
  }

  emit(event: InstanceEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  async *watch(signal: AbortSignal): AsyncIterable<InstanceEvent> {
    const queue: InstanceEvent[] = [];
    let wake: () => void = () => {};
    const listener = (event: InstanceEvent): void => {
      queue.push(event);
      wake();
    };
    const abort = (): void => wake();
    this.listeners.add(listener);
    signal.addEventListener('abort', abort, { once: true });
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else await new Promise<void>((resolve) => { wake = resolve; });
      }
    } finally {
      this.listeners.delete(listener);
      signal.removeEventListener('abort', abort);
    }
  }
}
