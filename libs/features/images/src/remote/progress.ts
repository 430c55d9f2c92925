import { progressText } from '../rules/progress.rules.js';
import type { ReportProgress } from './image-server.js';

const intervalMs = 200;

/** Turns counts of bytes into lines of progress, a few per second. */
export class Progress {
  private done = 0;
  private readonly startedAt = performance.now();
  private reportedAt = -Infinity;

  constructor(private readonly report: ReportProgress, private readonly prefix: string, private readonly totalBytes: number) {}

  readonly add = (count: number): void => {
    this.done += count;
    const now = performance.now();
    if (now - this.reportedAt < intervalMs && this.done !== this.totalBytes) return;
    this.reportedAt = now;
    this.report(progressText(this.prefix, this.done, this.totalBytes, now - this.startedAt));
  };
}
