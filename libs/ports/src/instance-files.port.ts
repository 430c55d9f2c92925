import type { InstanceSpec } from './instance.port.js';

/** `instance`: the files as the running instance sees them, its own mounts included, or those of its root volume while it is stopped. `volume`: all of the root volume. */
export type FileView = 'instance' | 'volume';

export interface FilesRequest {
  readonly spec: InstanceSpec;
  readonly view: FileView;
  /** uid and gid that may open the endpoint: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

export interface FilesEndpoint {
  /** A unix socket; each connection speaks SFTP version 3. Without use it goes after ten seconds: ask for each connection. */
  readonly path: string;
}

/** Files inside instances. Whatever a path says, nothing outside of the root is reached, and nothing but regular files and directories is opened. */
export abstract class InstanceFiles {
  /** @throws `internal` when there is no root file system. */
  abstract openFiles(request: FilesRequest): Promise<FilesEndpoint>;
}
