import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mask } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { unmet } from '../support/needs.js';
import { rawCall } from '../support/raw-call.js';
import { Target } from '../support/target.js';
import { configKeys } from './config-keys.js';

type Kind = keyof typeof configKeys;

/** Values that mean something to one key or another, and nothing to most. */
const values = ['true', '5', '-1', 'nonsense', '1GiB', 'a b'];
/** Each that is taken is carried out on the host, which takes LXD seconds. */
const networkValues = ['5', 'nonsense'];

/** Names of links are the host's, so the two differ. */
const bridge = ({ kind }: Target): string => (kind === 'lxd' ? 'keysbr-l' : 'keysbr-r');

/** Refused or done otherwise on purpose (docs/differences.md), by kind and key. */
const apart: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^project restricted\.networks\.zones$/, 'refused: there is nothing yet that they would restrict'],
  [/^network bgp\.peers\./, 'refused: nobody speaks BGP here'],
  [/^network tunnel\./, 'half a tunnel: LXD stores it and fails'],
];

/** LXD walks architectures in no order, and answers 500 where the caller is wrong. */
function comparable(answer: string): string {
  return answer.replace(/^(400|500) /, '4xx ').replace(/not one of \[([^\]]*)\]/, (_, list: string) => `not one of ${list.split(' ').sort().join(' ')}`);
}

describe.skipIf(unmet('every configuration key', Target.whyNotBoth()))('every configuration key', () => {
  const pair = new Pair();
  const paths: Readonly<Record<Kind, (target: Target) => string>> = {
    server: () => '/1.0', project: () => '/1.0/projects/k1', pool: () => '/1.0/storage-pools/default', volume: () => '/1.0/storage-pools/default/volumes/custom/v1',
    network: (target) => `/1.0/networks/${bridge(target)}`,
  };

  beforeAll(async () => {
    await pair.start();
    pair.prepare();
    for (const target of pair.both) must(target, `lxc project create k1 && lxc storage volume create default v1 && lxc network create ${bridge(target)} ipv4.address=${target.kind === 'lxd' ? '10.138.3.1/24' : '10.138.4.1/24'} ipv6.address=none`);
  });
  afterAll(() => pair.destroy());

  /** What setting it is answered with, and what is there afterwards; it is unset again. */
  async function tryValue(target: Target, path: string, key: string, value: string): Promise<string> {
    const patch = (to: string) => rawCall(join(target.dir, 'unix.socket'), { method: 'PATCH', path, body: JSON.stringify({ config: { [key]: to } }) });
    const { status, text } = await patch(value);
    const said = `${status} ${(JSON.parse(text) as { error: string }).error}`;
    if (status !== 200) return mask(comparable(said)).replaceAll(bridge(target), 'BRIDGE');
    const { text: now } = await rawCall(join(target.dir, 'unix.socket'), { method: 'GET', path });
    const { config } = (JSON.parse(now) as { metadata: { config: Record<string, unknown> } }).metadata;
    const back = await patch('');
    return mask(`${said} stored as ${JSON.stringify(config[key])}, unset ${comparable(`${back.status} ${(JSON.parse(back.text) as { error: string }).error}`)}`);
  }

  it.each(Object.entries(configKeys).flatMap(([kind, keys]) => keys.map((key) => [kind as Kind, key] as const)).filter(([kind, key]) => !apart.some(([pattern]) => pattern.test(`${kind} ${key}`))))('%s: %s', async (kind, key) => {
    const [ours, theirs] = await Promise.all(pair.both.map(async (target) => {
      const answers: Record<string, string> = {};
      for (const value of kind === 'network' ? networkValues : values) answers[value] = await tryValue(target, paths[kind](target), key, value);
      return answers;
    }));
    expect(ours).toEqual(theirs);
  });
});
