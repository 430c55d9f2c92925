import { randomFillSync } from 'node:crypto';
import { statSync, unlinkSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, type Logger } from '#kernel';
import { freeBytes } from './sqlite-errors.js';

export interface BallastOptions {
  /** Of the database. */
  readonly directory: string;
  /** 0 = no ballast. */
  readonly bytes: number;
  /** The ballast is made only when more than this is free. */
  readonly whenFreeBytes: number;
  /** Until the first attempt to make it, and between attempts. */
  readonly everyMs: number;
}

export const defaultBallast = { bytes: 32 * 1024 * 1024, whenFreeBytes: 2 * 1024 ** 3, everyMs: 30_000 };

const chunkBytes = 1024 * 1024;
/** Written a little at a time: it must not compete with what matters. */
const pauseMs = 10;

/**
 * A file that only takes up room. When a write finds the disk full it is removed, so that whatever frees space (deleting an instance)
 * can still be recorded; once there is ample space again it is made anew (hazards F6).
 *
 * Filled with noise, so that file systems that compress or skip zeros reserve the space too.
 */
export class Ballast {
  private readonly path: string;
  private readonly timer: NodeJS.Timeout | null;
  private making: Promise<void> | null = null;
  private stopped = false;

  constructor(private readonly options: BallastOptions, private readonly logger: Logger) {
    this.path = `${options.directory}/ballast`;
    this.timer = options.bytes > 0 ? setInterval(() => void this.ensure(), options.everyMs) : null;
    this.timer?.unref();
  }

  get held(): boolean {
    return (statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  /** Gives the room back; false if there was none to give. */
  release(): boolean {
    if (!this.held) return false;
    unlinkSync(this.path);
    this.logger.warn('The file system of the database is full: its reserve is in use now', { directory: this.options.directory });
    return true;
  }

  /** Makes the file if there is ample space. Never throws. */
  ensure(): Promise<void> {
    this.making ??= this.make()
      .catch((error: unknown) => this.logger.warn('Failed making the reserve of disk space', { err: messageOf(error) }))
      .finally(() => { this.making = null; });
    return this.making;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer ?? undefined);
    await this.making;
  }

  private async make(): Promise<void> {
    if (this.stopped || this.held || freeBytes(this.options.directory) < this.options.whenFreeBytes + this.options.bytes) return;
    const unfinished = `${this.path}.new`;
    const file = await open(unfinished, 'w', 0o600);
    try {
      const noise = randomFillSync(Buffer.allocUnsafe(chunkBytes));
      for (let written = 0; written < this.options.bytes && !this.stopped; written += chunkBytes) {
        await file.write(noise, 0, Math.min(chunkBytes, this.options.bytes - written));
        await sleep(pauseMs, undefined, { ref: false });
      }
    } finally {
      await file.close();
    }
    if (this.stopped) unlinkSync(unfinished);
    else await rename(unfinished, this.path);
  }
}
