import { existsSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { UeventReader } from '#host';

/** A burst of events (a disk with its partitions) is looked at once. */
const calmMs = 20;

/**
 * Says that devices of the host may have changed: nodes at the paths that are watched, and what the kernel tells of devices once somebody cares. What
 * changed is for the listener to see. Nothing is watched while nobody cares.
 */
export class HostWatch {
  private readonly watchers = new Map<string, FSWatcher>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly uevents: UeventReader, private readonly changed: () => void) {}

  /** Replaces what is watched. Paths need not exist. */
  want(paths: readonly string[], uevents: boolean): void {
    const directories = new Set(paths.map(existingParent));
    for (const [directory, watcher] of this.watchers) {
      if (directories.has(directory)) continue;
      watcher.close();
      this.watchers.delete(directory);
    }
    for (const directory of directories) if (!this.watchers.has(directory)) this.open(directory);
    if (uevents) this.uevents.start(() => this.soon());
    else this.uevents.stop();
  }

  close(): void {
    this.want([], false);
    clearTimeout(this.timer);
  }

  private open(directory: string): void {
    const watcher = watch(directory, { persistent: false }, () => this.soon());
    // A directory that vanishes: the next look finds its parent.
    watcher.on('error', () => this.soon());
    this.watchers.set(directory, watcher);
  }

  private soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.changed();
    }, calmMs).unref();
  }
}

/** The directory in which the next missing part of a path would appear. */
function existingParent(path: string): string {
  let at = dirname(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
}
