import { unavailable } from '#kernel';
import type { EtcdExit } from './etcd-exit.rules.js';

/** What a process of etcd is started with. */
export interface EtcdLaunch {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly dataDirectory: string;
  /** Appended to; kept below a few megabytes. */
  readonly logFile: string;
}

export interface RunningEtcd {
  readonly pid: number;
  /** True when an earlier daemon had started it. */
  readonly adopted: boolean;
  readonly exited: Promise<EtcdExit>;
  /** Asks it to end, kills it after `timeoutMs`. Resolves when it is gone. */
  terminate(timeoutMs: number): Promise<void>;
}

/**
 * Starts etcd and finds it again. A process outlives this one being killed; the next daemon takes it over when it runs with just these
 * arguments in this network namespace, and ends it otherwise. There is never a second one on a data directory.
 */
export abstract class EtcdLauncher {
  /** Version of the installed etcd, as `3.4.23`. `unavailable` when there is none. */
  abstract version(): Promise<string>;
  abstract start(launch: EtcdLaunch): Promise<RunningEtcd>;
}

/** For a process that may not start any: asking for a cluster fails with words. */
export class NoEtcdLauncher extends EtcdLauncher {
  override version(): Promise<string> {
    return Promise.reject(unavailable('This server cannot run etcd, which a cluster needs'));
  }

  override start(): Promise<RunningEtcd> {
    return Promise.reject(unavailable('This server cannot run etcd, which a cluster needs'));
  }
}
