import type { RawCall } from '../support/raw-call.js';
import type { FieldType, RestCall } from './rest-calls.js';

export interface RestCase {
  /** What is wrong with it, for a reader of a failed comparison. */
  readonly about: string;
  readonly call: RawCall;
}

/** Names for the parts of paths: one that is there, and one that is not. */
export type Objects = Readonly<Record<string, string>>;

const json = { 'content-type': 'application/json' };
const octets = { 'content-type': 'application/octet-stream' };

/** Values another type has, of those an encoder would write by mistake. */
const wrong: Readonly<Record<FieldType, readonly unknown[]>> = {
  string: [5, { a: 'b' }],
  int: ['1', 1.5],
  bool: ['true', 1],
  time: ['tomorrow', 5],
  list: ['a', [1]],
  objects: ['a', ['a']],
  map: [['a'], { a: 1 }],
  maps: ['a', { a: 'b' }],
  object: ['a', 5],
};

/** What is not sent, matched against `METHOD PATH BODY`. */
const leftOut: readonly RegExp[] = [
  // They would take a server out of its cluster, its database with it.
  /^PUT \/1\.0\/cluster (null|\{(\}|"nonsense))/,
  // A handler of LXD's falls over them.
  /^POST \/1\.0\/images (null|\{(\}|"nonsense))/, /^POST \S+\/backups null/,
  // Its alias would have the empty name from then on, and nobody would find it.
  /^POST \/1\.0\/images\/aliases\/bb (null|\{(\}|"nonsense))/,
  // It never answers, nor to anything about images after that.
  /^PATCH \/1\.0\/images\/aliases\/bb (null|\{(\}|"nonsense))/,
];

function fill(path: string, objects: Objects): string {
  return path.replace(/\{(\w+)\}/g, (_, part: string) => encodeURIComponent(objects[part] ?? `no-${part}`));
}

/** Every wrong body the call may get. */
function badBodies({ fields, bytes }: RestCall): { about: string; body?: string }[] {
  if (bytes) return [{ about: 'no body' }];
  if (fields === null) return [];
  const whole = [undefined, '', '{', '[]', 'null', '"a"', '{}', '{} x', '{"nonsense": 1}'].map((body) => ({ about: `body ${body ?? 'absent'}`, body }));
  const typed = [...fields].flatMap(([name, type]) => wrong[type].map((value) => JSON.stringify({ [name]: value })).map((body) => ({ about: `body ${body}`, body })));
  return [...whole, ...typed];
}

/**
 * What is sent of a call: on objects that are there and on ones that are not, in another project that is not there; writes with each kind of
 * wrong body, and with an ETag that is not the object's.
 */
export function casesOf(call: RestCall, present: Objects): RestCase[] {
  const { method } = call;
  const cases: RestCase[] = [];
  const add = (about: string, path: string, rest: { body?: string; headers?: Record<string, string> } = {}): void => {
    if (leftOut.some((pattern) => pattern.test(`${method} ${path} ${rest.body ?? ''}`))) return;
    const headers = { ...(rest.body === undefined ? {} : call.bytes ? octets : json), ...rest.headers };
    cases.push({ about: `${method} ${path}: ${about}`, call: { method, path, headers, ...(rest.body === undefined ? {} : { body: rest.body }) } });
  };
  const there = fill(call.path, present);
  const missing = fill(call.path, {});
  if (method === 'GET' || method === 'HEAD') {
    for (const query of ['', '?recursion=1', '?recursion=2', '?recursion=x', '?project=nowhere', '?filter=nonsense']) add('there', `${there}${query}`);
  } else {
    for (const { about, body } of badBodies(call)) add(about, there, { body });
    if (call.fields !== null) add('another project', `${there}?project=nowhere`, { body: '{"nonsense": ' });
    if (method === 'PUT' || method === 'PATCH') add('another ETag', there, { body: '{}', headers: { 'if-match': 'nonsense' } });
  }
  // Each named part missing in turn, from the outermost.
  const parts = [...call.path.matchAll(/\{(\w+)\}/g)].map(([, part]) => part!);
  for (const part of parts) {
    const body = call.fields === null ? undefined : '{}';
    add(`no such ${part}`, fill(call.path, { ...present, [part]: `no-${part}` }), { body });
  }
  if (parts.length > 0 && call.fields !== null) add('nothing there, wrong body', missing, { body: '[' });
  if (method === 'DELETE' && parts.length === 0) add('there', there);
  return cases;
}

/** What paths do not take: for each path, the methods no call has. */
export function unknownMethods(calls: readonly RestCall[], present: Objects): RestCase[] {
  return [...new Set(calls.map(({ path }) => path))].flatMap((path) => ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
    .filter((method) => !calls.some((call) => call.path === path && call.method === method))
    .map((method) => ({ about: `${method} ${path}`, call: { method, path: fill(path, present) } })));
}

/** What takes the objects away: the innermost first. */
export function deletions(calls: readonly RestCall[], present: Objects): RestCase[] {
  const depth = (path: string): number => path.split('/').length;
  return calls.filter(({ method, path }) => method === 'DELETE' && path.includes('{')).sort((a, b) => depth(b.path) - depth(a.path))
    .map(({ path }) => ({ about: `DELETE ${path}`, call: { method: 'DELETE', path: fill(path, present) } }));
}
