import type { VolumeSpec } from './storage.port.js';

/** Directories of the server that may lie in a custom volume. */
export type ServerDirectory = 'backups' | 'images';

/** Where the server keeps what is not a volume itself. */
export abstract class ServerDirectories {
  /** Whether a custom volume holds nothing but what a new file system has. `not-found` for one that is not there. */
  abstract isEmptyVolume(volume: VolumeSpec): Promise<boolean>;
  /**
   * From now on the directory is the volume's, or with null one of its own again; what it held goes along. It is never absent, and holds either
   * all by its former place or all by its new one. Does nothing but clear up where it is in that place already: what died on the way leaves it in the former or in the
   * new one, and another call settles it. Callers keep others from writing into it. `conflict` for a volume that is not empty.
   */
  abstract placeDirectory(directory: ServerDirectory, volume: VolumeSpec | null): Promise<void>;
}
