import type { CreateInstanceParams } from '../operations/instance-operation.params.js';

/** An instance that is made from an archive in the daemon's `backups/`. */
export interface ImportInstanceParams extends CreateInstanceParams {
  readonly archive: string;
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  readonly optimized: boolean;
}
