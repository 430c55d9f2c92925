import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mask } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { unmet } from '../support/needs.js';
import { rawCall, type RawAnswer, type RawCall } from '../support/raw-call.js';
import { Target } from '../support/target.js';
import { restCalls } from './rest-calls.js';
import { casesOf, deletions, unknownMethods, type Objects, type RestCase } from './rest-cases.js';

/** What moves by itself, or is the daemon's own and compared elsewhere (`resources.spec.ts`, `metrics.spec.ts`). */
const moving = new Set(['used', 'total', 'free', 'environment', 'api_extensions', 'hwaddr', 'counters', 'fingerprint_of_server', 'last_seen_at', 'usage', 'public_key']);

/**
 * Cases that are answered differently on purpose (docs/differences.md), or by what other specs compare; matched against what is said of them. A case here
 * is sent all the same, so that what follows finds both servers alike.
 */
const apart: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^GET \/1\.0\/(resources|operations|metrics|networks)(\?\S+)?: there/, 'the host and the moment: resources.spec, metrics.spec'],
  [/\/1\.0\/network-zones|\/peers/, 'refused as a whole'],
  [/^GET \S+\/backups\/b0\/export(\?\S+)?: there/, 'archives have times in them: backups.spec'],
  [/^(GET|DELETE) (?!\S+project=nowhere)\S+\/(logs|console)[^:]*(: (there|no such file)|$)/, 'made with the container, read while it runs: client.spec'],
  [/^POST \S+\/backups: body \{"expires_at":5\}/, 'ignored by LXD, refused here'],
  [/^POST \S+\/backups\/b0: body (null|\{(\}|"nonsense))/, 'an empty name fails in the operation there, at once here'],
  [/^POST \S+\/snapshots\/s0: body \{"(live|migration|target|name)"/, 'LXD looks for the name before any type'],
  [/^(PUT|PATCH) \S+\/snapshots\/s0: body \{"expires_at":5\}/, 'ignored by LXD, refused here'],
  [/^(PUT|PATCH) \S+\/(metadata|forwards\/\S+): another ETag/, 'not looked at by LXD'],
  [/^GET \/1\.0\/storage-pools\/default(\?\S+)?: there/, 'has an ETag here'],
  [/^GET \/1\.0\/events\?project=nowhere/, 'LXD looks for the project before the upgrade'],
  [/^(PUT|POST|PATCH|GET) \/1\.0\/images\/\S+\/export: body/, 'LXD reads no body before it asks the other server'],
  [/^(POST|PUT|PATCH|DELETE) \/$/, 'LXD answers every method as GET'],
  [/^DELETE \/1\.0\/cluster\/groups\//, 'LXD does not look whether there is a cluster'],
  [/^GET \/1\.0\/warnings(\?\S+)?: there/, 'LXD warns of the host’s kernel'],
];

/** Headers that say something about the object; the others are the connection's. */
const told = ['content-type', 'location', 'x-content-type-options', 'content-disposition', 'allow'];

/** Names of links are the host's, so the two differ. */
const bridge = ({ kind }: Target): string => (kind === 'lxd' ? 'restbr-l' : 'restbr-r');

function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settled);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !moving.has(key)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, settled(inner)]));
}

/** LXD's 500 for what is the caller's mistake, told as such in the same words. */
function isCallersMistake(roost = '', lxd = ''): boolean {
  const words = (answer: string): string => answer.replace(/^\d+/, '').replace(/"error_code":\d+/, '');
  return /^4\d\d/.test(roost) && lxd.startsWith('500') && words(roost) === words(lxd);
}

describe.skipIf(unmet('every call of the API', Target.whyNotBoth()))('every call of the API', () => {
  const pair = new Pair();
  const objectsOf = new Map<Target, Objects>();

  const ask = (target: Target, call: RawCall): Promise<RawAnswer> => rawCall(join(target.dir, 'unix.socket'), call);

  /** An answer without what differs between two servers that hold the same. */
  function shown(target: Target, { status, headers, text }: RawAnswer): string {
    const kept = told.filter((name) => headers[name] !== undefined).map((name) => `${name}: ${String(headers[name])}`);
    const tag = headers['etag'] === undefined ? [] : ['etag'];
    let body = text;
    try {
      body = JSON.stringify(settled(JSON.parse(text)));
    } catch {
      // No JSON: bytes of a file, or a few words.
      if (text.length > 200) body = createHash('sha256').update(text).digest('hex');
    }
    return mask([status, ...kept, ...tag, body].join('\n')).replaceAll(bridge(target), 'BRIDGE').replace(/8000\.[0-9a-f]{12}/g, '<bridge id>')
      .replace(/"metadata":\{"\w+_progress":"[^"]*"\}/, '"metadata":null');
  }

  async function answer(target: Target, call: RawCall): Promise<string> {
    const first = await ask(target, call);
    const told = shown(target, first);
    if (first.status !== 202 || call.path.endsWith('/secret')) return told;
    const { operation } = JSON.parse(first.text) as { operation: string };
    // How far it is by now is luck.
    return `${told.replace(/"err":"[^"]*"|"status(_code)?":[^,]*|"updated_at":[^,]*/g, '')}\n${shown(target, await ask(target, { method: 'GET', path: `${operation}/wait?timeout=15` }))}`;
  }

  /** Sends the same to both, one after the other as a client would, and returns what was answered differently. */
  async function differences(cases: (objects: Objects) => readonly RestCase[]): Promise<unknown[]> {
    const [ours, theirs] = await Promise.all(pair.both.map(async (target) => {
      const answers: string[] = [];
      for (const { call } of cases(objectsOf.get(target)!)) answers.push(await answer(target, call).catch(String));
      return answers;
    }));
    return cases(objectsOf.get(pair.roost)!).map(({ about }, i) => ({ about, roost: ours![i], lxd: theirs![i] })).filter(({ about, roost, lxd }) => roost !== lxd && !apart.some(([pattern]) => pattern.test(about)) && !isCallersMistake(roost, lxd));
  }

  beforeAll(async () => {
    await pair.start();
    pair.prepare();
    const certificate = join(pair.roost.root, 'client.crt');
    spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null', '-out', certificate, '-days', '2', '-subj', '/CN=rest'], { stdio: 'ignore' });
    for (const target of pair.both) {
      must(target, `lxc init bb c1 && lxc snapshot c1 s0 && lxc query --wait -X POST -d '{"name":"b0"}' /1.0/instances/c1/backups`);
      must(target, `lxc network create ${bridge(target)} ipv4.address=${target.kind === 'lxd' ? '10.138.1.1/24' : '10.138.2.1/24'} ipv6.address=none && lxc network acl create a1`);
      must(target, `lxc network forward create ${bridge(target)} 10.138.9.9`);
      must(target, 'lxc profile create p1 && lxc project create pr1 && lxc storage volume create default v1 && lxc storage volume snapshot default v1 s0');
      must(target, `lxc query --wait -X POST -d '{"name":"b0"}' /1.0/storage-pools/default/volumes/custom/v1/backups`);
      must(target, `lxc config trust add ${certificate} --name rest`);
      const [kind, nothing] = target.kind === 'lxd' ? ['entity_type_code', '-1'] : ['entity_type', "''"];
      must(target, `lxd sql global "INSERT INTO warnings (node_id, ${kind}, uuid, type_code, status, first_seen_date, last_seen_date, updated_date, last_message, count)
        SELECT id, ${nothing}, '7b1f5c1e-6e43-4a5c-9d0c-3f3f0a1c7a11', 23, 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 'm', 1 FROM nodes"`);
      objectsOf.set(target, {
        acl: 'a1', address: '10.138.9.9', instance: 'c1', snapshot: 's0', backup: 'b0', profile: 'p1', project: 'pr1', pool: 'default', type: 'custom', volume: 'v1', alias: 'bb', network: bridge(target),
        fingerprint: must(target, 'lxc image list -f csv -c F').trim(), uuid: '7b1f5c1e-6e43-4a5c-9d0c-3f3f0a1c7a11',
        certificate: must(target, `lxc query /1.0/certificates?recursion=1 | jq -r '.[]|select(.name=="rest").fingerprint'`).trim(), file: 'console.log',
      });
    }
  });
  afterAll(() => pair.destroy());

  it.each(restCalls.map((call) => [`${call.method} ${call.path}`, call] as const))('%s', async (_, call) => {
    expect(await differences((objects) => casesOf(call, objects))).toEqual([]);
  });

  it('refuses the methods a path does not have', async () => {
    expect(await differences((objects) => unknownMethods(restCalls, objects))).toEqual([]);
  });

  it('takes everything away', async () => {
    expect(await differences((objects) => deletions(restCalls, objects))).toEqual([]);
  });
});
