import type { ExecEnds } from '#ports';

/** What a command inside sees, given the instance's `environment.*`, the request's own, and whether /snap is there. As LXD does it. */
export function execEnvironment(
  config: Readonly<Record<string, string>>, requested: Readonly<Record<string, string>>, user: number, hasSnap: boolean,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('environment.')) environment[key.slice('environment.'.length)] = value;
  }
  Object.assign(environment, requested);
  environment['PATH'] ??= `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${hasSnap ? ':/snap/bin' : ''}`;
  if (user === 0) {
    environment['HOME'] ??= '/root';
    environment['USER'] ??= 'root';
  }
  environment['LANG'] ??= 'C.UTF-8';
  return environment;
}

/** The request's directory, else the home directory, else `/`. LXC falls back to `/` for one that is not there. */
export function execDirectory(requested: string, environment: Readonly<Record<string, string>>): string {
  return requested || environment['HOME'] || '/';
}

export interface SessionSpec {
  readonly interactive: boolean;
  readonly ends: ExecEnds;
  readonly uid: number;
  readonly gid: number;
  readonly hostUid: number;
  readonly hostGid: number;
  readonly width: number;
  readonly height: number;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** In the order in which roost-helper reads it; lists have their length first. */
export function sessionFields(spec: SessionSpec): (string | number)[] {
  const environment = Object.entries(spec.environment).map(([key, value]) => `${key}=${value}`);
  return [
    spec.interactive ? 1 : 0, spec.ends, spec.uid, spec.gid, spec.hostUid, spec.hostGid, spec.width, spec.height, spec.cwd,
    environment.length, ...environment, spec.command.length, ...spec.command,
  ];
}
