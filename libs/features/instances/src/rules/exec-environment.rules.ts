import type { ConfigMap } from '#api-types';

const prefix = 'environment.';

/** Variables of a command: those of the request, then the instance's `environment.*`, then LXD's defaults. Sorted by name. */
export function execEnvironment(requested: Readonly<ConfigMap>, config: Readonly<ConfigMap>, user: number): ConfigMap {
  const environment: ConfigMap = { ...requested };
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith(prefix)) environment[key.slice(prefix.length)] ??= value;
  }
  environment.PATH ??= '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  if (user === 0) {
    environment.HOME ??= '/root';
    environment.USER ??= 'root';
  }
  environment.LANG ??= 'C.UTF-8';
  return Object.fromEntries(Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Where a command starts: as asked, else the home directory, else the root. */
export function execDirectory(requested: string, environment: Readonly<ConfigMap>): string {
  return requested || environment.HOME || '/';
}
