import type { ReportProgress } from '../remote/image-server.js';
import { unlessAborted } from './unless-aborted.js';

/** How one download is carried out, and what is left to do when nobody needs it any more; `result` is undefined if it failed. */
export interface Download<T> {
  readonly run: (report: ReportProgress, signal: AbortSignal) => Promise<T>;
  readonly end: (result: T | undefined) => Promise<void>;
}

class Flight<T> {
  readonly abort = new AbortController();
  readonly watchers = new Set<ReportProgress>();
  users = 0;
  last = '';
  readonly result: Promise<T>;

  constructor(private readonly download: Download<T>) {
    this.result = download.run((text) => this.tell(text), this.abort.signal);
    this.result.catch(() => undefined);
  }

  /** Called when the last user has gone. */
  async end(): Promise<void> {
    this.abort.abort();
    const result = await this.result.catch(() => undefined);
    await this.download.end(result);
  }

  private tell(text: string): void {
    this.last = text;
    for (const watcher of this.watchers) watcher(text);
  }
}

/**
 * Downloads shared by all who ask for the same thing at the same time. Each user sees its progress; it is given up only when all of
 * them have given up, and what it fetched is discarded when the last has used it.
 */
export class SharedDownloads<T> {
  private readonly flights = new Map<string, Flight<T>>();

  /** Joins or starts the download of `key`, then calls `use` with its result. `make` is called only to start one. */
  async with<R>(key: string, make: () => Download<T>, report: ReportProgress, signal: AbortSignal, use: (result: T) => Promise<R>): Promise<R> {
    const flight = this.flights.get(key) ?? this.start(key, make());
    flight.users++;
    flight.watchers.add(report);
    if (flight.last !== '') report(flight.last);
    try {
      return await use(await unlessAborted(flight.result, signal, 'The download was cancelled'));
    } finally {
      flight.watchers.delete(report);
      if (--flight.users === 0) {
        if (this.flights.get(key) === flight) this.flights.delete(key);
        await flight.end();
      }
    }
  }

  private start(key: string, download: Download<T>): Flight<T> {
    const flight = new Flight(download);
    this.flights.set(key, flight);
    // Who comes after a failure gets a try of its own.
    flight.result.catch(() => {
      if (this.flights.get(key) === flight) this.flights.delete(key);
    });
    return flight;
  }
}
