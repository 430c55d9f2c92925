/** The state directory: `ROOST_DIR`, else `LXD_DIR` (so that scripts written for LXD work), else /var/lib/roost. */
export function stateRoot(environment: NodeJS.ProcessEnv = process.env): string {
  return (environment['ROOST_DIR'] || environment['LXD_DIR'] || '/var/lib/roost').replace(/\/+$/, '') || '/';
}

/** The socket clients use: `ROOST_SOCKET`, else `LXD_SOCKET`, else the one in the state directory. */
export function socketPath(environment: NodeJS.ProcessEnv = process.env): string {
  return environment['ROOST_SOCKET'] || environment['LXD_SOCKET'] || `${stateRoot(environment)}/unix.socket`;
}
