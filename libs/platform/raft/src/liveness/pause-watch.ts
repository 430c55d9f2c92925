import { readFileSync } from 'node:fs';

const periodMs = 1000;

/** Milliseconds since boot, sleep included: Node's own monotonic clock stands still while the machine is suspended (hazards B1). */
export function bootTimeMs(): number {
  return Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000;
}

/**
 * Notices that this process did not run for a while: stopped, suspended, starved. What it knew before may then not hold any more: others may have taken over
 * its work (hazards B1). A virtual machine paused from outside sees no gap on any clock, so this narrows the danger and does not end it.
 */
export class PauseWatch {
  private readonly listeners = new Set<(pausedMs: number) => void>();
  private timer: NodeJS.Timeout | undefined;
  private last = 0;

  constructor(private readonly toleratedMs: number, private readonly now: () => number = bootTimeMs) {}

  onPause(listener: (pausedMs: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    this.stop();
    this.last = this.now();
    this.timer = setInterval(() => this.check(), periodMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Looks now; what acts on something remembered may ask before it does. */
  check(): void {
    const now = this.now();
    const gap = now - this.last;
    this.last = now;
    if (gap > this.toleratedMs) for (const listener of this.listeners) listener(gap);
  }
}
