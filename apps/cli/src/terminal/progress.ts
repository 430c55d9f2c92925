import type { Operation } from '#api-types';
import { bytesSi } from '../output/units.js';
import { displayWidth } from '../output/table.js';
import type { Terminal } from './terminal.js';

const plainEveryMs = 5000;

/**
 * How far something long is, on standard error: one line that is overwritten on a terminal, else a line every few seconds. What lasts less than a
 * blink shows nothing.
 */
export class Progress {
  readonly wanted: boolean;
  readonly everyMs: number;
  private readonly live: boolean;
  private shown = 0;
  private last = '';
  private spokeAt = performance.now();

  constructor(private readonly terminal: Terminal, private readonly what: string, quiet = false) {
    this.live = terminal.errorIsTerminal && process.env['TERM'] !== 'dumb';
    this.wanted = !quiet;
    this.everyMs = this.live ? 250 : plainEveryMs;
  }

  /** Shows what the operation itself says: `{"download_progress": "rootfs: 45% (10MB/s)"}`. */
  update(operation: Operation): void {
    for (const [key, value] of Object.entries(operation.metadata ?? {})) {
      if (key.endsWith('_progress') && typeof value === 'string') this.show(value);
    }
  }

  /** Shows bytes moved: rate, and time left where the whole is known. */
  bytes(done: number, total: number | undefined, startedAt: number): void {
    const seconds = Math.max(0.001, (performance.now() - startedAt) / 1000);
    const rate = `${bytesSi(done / seconds)}/s`;
    if (total === undefined || total === 0) return this.show(`${bytesSi(done)} (${rate})`);
    const left = Math.max(0, Math.round(((total - done) / Math.max(done, 1)) * seconds));
    this.show(`${Math.min(100, Math.floor((done / total) * 100))}% (${rate}, ${duration(left)} left)`);
  }

  show(state: string): void {
    if (!this.wanted) return;
    const text = this.what === '' ? state : `${this.what}: ${state}`;
    if (text === this.last) return;
    if (!this.live) {
      if (performance.now() - this.spokeAt < plainEveryMs) return;
      this.terminal.err(`${text}\n`);
      this.spokeAt = performance.now();
    } else {
      const fitting = [...text].slice(0, Math.max(10, (this.terminal.stderr.columns ?? 80) - 1)).join('');
      this.terminal.err(`\r${fitting}${' '.repeat(Math.max(0, this.shown - displayWidth(fitting)))}`);
      this.shown = displayWidth(fitting);
    }
    this.last = text;
  }

  /** A line that stays. */
  note(text: string): void {
    this.clear();
    this.terminal.err(`${text}\n`);
  }

  end(): void { this.clear(); }

  private clear(): void {
    if (this.live && this.shown > 0) this.terminal.err(`\r${' '.repeat(this.shown)}\r`);
    this.shown = 0;
    this.last = '';
  }
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(seconds / 3600)}h${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')}m`;
}
