import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { invalid, messageOf } from '#kernel';
import { toJson, withSortedKeys } from '../../../output/json.js';

/** Kinds in the order they depend on each other. */
export const kinds = ['server', 'project', 'pool', 'network', 'acl', 'profile', 'volume', 'instance'] as const;
export type Kind = (typeof kinds)[number];

/** One object as somebody wants it. */
export interface Declaration {
  readonly kind: Kind;
  readonly name: string;
  readonly project: string;
  /** Of a volume. */
  readonly pool: string;
  readonly description: string | undefined;
  readonly config: Readonly<Record<string, string>>;
  readonly devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly profiles: readonly string[] | undefined;
  /** Of a pool its driver, of a network or an instance its type. */
  readonly type: string;
  /** What an instance is made of. Example: `ubuntu:22.04` */
  readonly image: string;
  readonly running: boolean;
  /** Of an instance or a volume, the member it is on, or for an instance `@group`; empty where it does not matter. */
  readonly target: string;
  /** Of a pool or a network, what members have for themselves. */
  readonly members: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What every member has, each for itself. */
  readonly everyMember: Readonly<Record<string, string>>;
  readonly ingress: readonly Record<string, string>[] | undefined;
  readonly egress: readonly Record<string, string>[] | undefined;
  /** Where it stands: `pools.yaml:2`, the file and the number of the document in it. */
  readonly place: string;
  /** Of all that is wanted. */
  readonly hash: string;
}

const fields: Readonly<Record<Kind, readonly string[]>> = {
  server: ['config'], project: ['description', 'config'], pool: ['description', 'config', 'driver', 'members'], network: ['description', 'config', 'type', 'members'], acl: ['description', 'config', 'ingress', 'egress'],
  profile: ['description', 'config', 'devices'], volume: ['description', 'config', 'pool', 'type', 'target'],
  instance: ['description', 'config', 'devices', 'profiles', 'type', 'image', 'state', 'target'],
};

/** Everything in the `.yaml` files of a directory, or in one file. Throws `invalid` with the place of what is wrong. */
export function readDeclarations(path: string): Declaration[] {
  if (!existsSync(path)) throw invalid(`open ${path}: no such file or directory`);
  const found = filesOf(path).flatMap((file) => readFile(file, file.slice(path.length).replace(/^\//, '') || path));
  const seen = new Map<string, string>();
  for (const one of found) {
    const key = labelOf(one);
    const before = seen.get(key);
    if (before !== undefined) throw invalid(`${one.place}: ${key} is described in ${before} already`);
    seen.set(key, one.place);
  }
  return found.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
}

/** `instance web/c1`: kind, project unless it is the default one, name; of a volume also the member that is named for it, since others may have one of that name. */
export function labelOf(one: Pick<Declaration, 'kind' | 'name' | 'project' | 'pool'> & { readonly target?: string }): string {
  const inProject = one.project === 'default' || ['server', 'project', 'pool'].includes(one.kind) ? '' : `${one.project}/`;
  return one.kind === 'server' ? 'server' : `${one.kind} ${inProject}${one.kind === 'volume' ? `${one.pool}/` : ''}${one.name}${one.kind === 'volume' && one.target ? `@${one.target}` : ''}`;
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => {
    const file = join(path, name);
    if (statSync(file).isDirectory()) return filesOf(file);
    return /\.ya?ml$/.test(name) ? [file] : [];
  });
}

function readFile(file: string, shown: string): Declaration[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).flatMap((document, index) => {
    const place = `${shown}:${index + 1}`;
    if (document.errors.length > 0) throw invalid(`${place}: ${messageOf(document.errors[0]).split('\n')[0]}`);
    const value = document.toJS() as unknown;
    if (value === null || value === undefined) return [];
    if (typeof value !== 'object' || Array.isArray(value)) throw invalid(`${place}: expected a map with kind and name`);
    return [declaration(value as Record<string, unknown>, place)];
  });
}

function declaration(value: Record<string, unknown>, place: string): Declaration {
  const kind = value['kind'] as Kind;
  if (!kinds.includes(kind)) throw invalid(`${place}: kind ${JSON.stringify(value['kind'] ?? '')} is none of ${kinds.join(', ')}`);
  const text = (key: string, fallback = ''): string => (value[key] === undefined || value[key] === null ? fallback : String(value[key]));
  const name = kind === 'server' ? 'server' : text('name');
  if (name === '') throw invalid(`${place}: a ${kind} needs a name`);
  const unknown = Object.keys(value).find((key) => !['kind', 'name', 'project', ...fields[kind]].includes(key));
  if (unknown !== undefined) throw invalid(`${place}: a ${kind} has no ${JSON.stringify(unknown)}; it has ${['name', 'project', ...fields[kind]].join(', ')}`);
  if (kind === 'pool' && text('driver') === '') throw invalid(`${place}: pool ${JSON.stringify(name)} needs a driver`);
  if (kind === 'volume' && text('pool') === '') throw invalid(`${place}: volume ${JSON.stringify(name)} needs a pool`);
  if (kind === 'instance' && text('image') === '') throw invalid(`${place}: instance ${JSON.stringify(name)} needs an image`);
  const state = text('state', 'running');
  if (!['running', 'stopped'].includes(state)) throw invalid(`${place}: state ${JSON.stringify(state)} is neither running nor stopped`);
  const maps = (key: string): Record<string, Record<string, string>> => Object.fromEntries(Object.entries((value[key] ?? {}) as Record<string, unknown>).map(([one, keys]) => [one, texts(keys)]));
  const rules = (key: string): Record<string, string>[] | undefined => (value[key] as Record<string, unknown>[] | undefined)?.map((rule) => texts(rule));
  return {
    kind, name, project: text('project', 'default'), pool: text('pool'), description: value['description'] === undefined ? undefined : text('description'), config: texts(value['config']), devices: maps('devices'),
    profiles: value['profiles'] as string[] | undefined, type: text(kind === 'pool' ? 'driver' : 'type', kind === 'instance' ? 'container' : kind === 'volume' ? 'filesystem' : kind === 'network' ? 'bridge' : ''),
    image: text('image'), running: state === 'running', target: text('target'), members: maps('members'), everyMember: {}, ingress: rules('ingress'), egress: rules('egress'), place,
    hash: createHash('sha256').update(toJson(withSortedKeys(value))).digest('hex').slice(0, 16),
  };
}

/** Numbers and truths are texts in a configuration. */
function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries((value ?? {}) as Record<string, unknown>).filter(([, item]) => item !== null).map(([key, item]) => [key, String(item)]));
}
