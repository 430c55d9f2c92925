import type { VolumeSpec } from './storage.port.js';

/** A running instance that is to be written down. */
export interface CheckpointRequest {
  readonly projectName: string;
  /** End it with that. */
  readonly stop: boolean;
}

/**
 * The state of running instances as files: `state/` in the instance's volume, from which `InstanceDriver.startInstance` can bring it back. Needs CRIU, and a
 * kernel it knows.
 */
export abstract class InstanceCheckpoints {
  /** Whether CRIU is there; what it makes of this kernel shows when it is used. */
  abstract isAvailable(): Promise<boolean>;
  /**
   * Writes the state, in the place of an older one. A failure, `internal` with what CRIU said, leaves the instance running as before, and of the state only
   * logs beside the instance's others.
   */
  abstract writeState(request: CheckpointRequest): Promise<void>;
  /** Removes the state from a volume; absent is success. */
  abstract discardState(volume: VolumeSpec): Promise<void>;
}
