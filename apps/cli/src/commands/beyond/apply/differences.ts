import type { Declaration } from './declarations.js';

/** Of an object as the server has it, what a declaration can be compared with. */
export interface Actual {
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly profiles: readonly string[];
  readonly running: boolean;
  readonly type: string;
  /** The member it is on; empty where the server stands alone. */
  readonly location: string;
  readonly ingress: readonly Record<string, string>[];
  readonly egress: readonly Record<string, string>[];
  /** As sent, with its tag. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly etag: string;
}

export interface Difference {
  /** Example: `config limits.memory` */
  readonly what: string;
  readonly is: string | undefined;
  readonly wanted: string | undefined;
}

/** Where an object keeps which description it was last made equal to: `<name of the description> <hash>`. */
export const marker = 'user.roost.apply';

/** Keys that a server sets by itself, so that one nobody described is no change of anybody's. */
function isServers(kind: string, key: string): boolean {
  return key === marker || key.startsWith('volatile.') || key.startsWith('image.') || ['pool', 'network', 'volume', 'server'].includes(kind) || (kind === 'project' && key.startsWith('features.'));
}

/** Whether it has to be moved. A group is where it was to be made: wherever it is now, nobody has to. */
export function isElsewhere(wanted: Declaration, actual: Actual): boolean {
  return wanted.target !== '' && !wanted.target.startsWith('@') && actual.location !== '' && actual.location !== wanted.target;
}

/** What must change. Empty: it is as described. */
export function differences(wanted: Declaration, actual: Actual): Difference[] {
  const found: Difference[] = [];
  const add = (what: string, is: string | undefined, to: string | undefined): void => { if (is !== to) found.push({ what, is, wanted: to }); };
  if (wanted.description !== undefined) add('description', actual.description, wanted.description);
  for (const key of Object.keys(wanted.config).sort()) add(`config ${key}`, actual.config[key], wanted.config[key]);
  for (const key of Object.keys(actual.config).sort()) if (wanted.config[key] === undefined && !isServers(wanted.kind, key)) add(`config ${key}`, actual.config[key], undefined);
  if (wanted.kind === 'instance' || wanted.kind === 'profile') {
    for (const name of [...new Set([...Object.keys(wanted.devices), ...Object.keys(actual.devices)])].sort()) add(`device ${name}`, deviceText(actual.devices[name]), deviceText(wanted.devices[name]));
  }
  if (wanted.kind === 'instance') {
    if (wanted.profiles !== undefined) add('profiles', actual.profiles.join(','), wanted.profiles.join(','));
    add('state', actual.running ? 'running' : 'stopped', wanted.running ? 'running' : 'stopped');
  }
  if (['instance', 'pool', 'network', 'volume'].includes(wanted.kind)) add('type', actual.type, wanted.type);
  if (isElsewhere(wanted, actual)) add('target', actual.location, wanted.target);
  for (const direction of ['ingress', 'egress'] as const) {
    if (wanted.kind === 'acl' && wanted[direction] !== undefined) add(direction, rulesText(actual[direction]), rulesText(wanted[direction]!));
  }
  return found;
}

function deviceText(device: Readonly<Record<string, string>> | undefined): string | undefined {
  return device === undefined ? undefined : Object.entries(device).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`).join(' ');
}

/** A rule without a state is enabled. */
function rulesText(rules: readonly Record<string, string>[]): string {
  return rules.map((rule) => deviceText({ state: 'enabled', ...rule })).sort().join('; ');
}
