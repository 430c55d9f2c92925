import { mkdirSync, rmSync, symlinkSync } from 'node:fs';

/**
 * Makes a directory that, first in the search path of `lxc-start`, lets it write id maps itself. With shadow's `newuidmap` and `newgidmap` in reach it runs
 * each of them through a shell, four programs in a container's way; they are for users who may not write maps, which root may. LXC passes over them when
 * what has their names is not setuid (src/lxc/conf.c, `idmaptool_on_path_and_privileged`).
 */
export function makePlainIdMaps(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  for (const tool of ['newuidmap', 'newgidmap']) {
    rmSync(`${directory}/${tool}`, { force: true });
    symlinkSync('/bin/false', `${directory}/${tool}`);
  }
}
