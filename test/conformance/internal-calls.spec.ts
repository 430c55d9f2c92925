import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, Pair } from '../support/pair.js';
import type { Target } from '../support/target.js';

/** What administrators' and test scripts ask of `/internal` on the unix socket, of Roost and of real LXD. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  for (const target of pair.both) must(target, 'lxc project create other -q && lxc storage create default dir -q && lxc profile device add default root disk path=/ pool=default -q && lxc init --empty e1 -q');
});
afterAll(() => pair.destroy());

const call = (target: Target, method: string, path: string, body = ''): string =>
  must(target, `curl -s -X ${method} -w ' %{http_code}' --unix-socket ${target.dir}/unix.socket ${body === '' ? '' : `-d '${body}'`} 'http://x/internal/${path}'`);
const both = (...request: [string, string, string?]): string => {
  const [ours, theirs] = pair.both.map((target) => call(target, ...request));
  expect(ours).toBe(theirs);
  return ours!;
};

/** Those written below, without what only the clock knows. */
const warnings = (target: Target): string[] => {
  const { metadata } = JSON.parse(must(target, 'lxc query "/1.0/warnings?recursion=1" --raw')) as { metadata: Record<string, unknown>[] };
  return metadata.filter((warning) => String(warning['last_message']).startsWith('asked'))
    .map(({ uuid: _uuid, first_seen_at: _first, last_seen_at: _last, ...rest }) => JSON.stringify(rest, Object.keys(rest).sort())).sort();
};

describe('/internal', () => {
  it.each(['gc', 'testing/bgp', 'testing/image-refresh', 'nope'])('GET %s', (path) => { both('GET', path); });

  it.each([
    '{"message":"asked 0"}', '{"type_code":1,"message":"asked 1"}', '{"type_code":1,"message":"asked 2"}', '{"type_code":24,"message":"asked 3","project":"other"}',
    '{"type_code":13,"message":"asked 4","location":"none"}', '{"type_code":20,"message":"asked 5","entity_type_code":3,"entity_id":1}',
    '{"type_code":20,"message":"asked 6","entity_type_code":2,"entity_id":1}', '{"type_code":25,"message":"asked 7"}', '{"type_code":1,"message":"asked 8","project":"nope"}',
    '{"type_code":1,"message":"asked 9","location":"nope"}', '{"type_code":1,"message":"asked 10","entity_type_code":99,"entity_id":1}', 'x',
  ])('POST testing/warnings %s', (body) => { both('POST', 'testing/warnings', body); });

  it('writes warnings that are listed and settled as any', () => {
    const [ours, theirs] = pair.both.map(warnings);
    expect(ours).toEqual(theirs);
    expect(ours!.length).toBe(6);
  });

  it('knows every type of LXD by name and severity', () => {
    const shown = (target: Target): string[] => {
      for (let code = 0; code < 25; code += 1) call(target, 'POST', 'testing/warnings', `{"type_code":${code},"message":"asked of ${code}"}`);
      return warnings(target).filter((text) => text.includes('asked of'));
    };
    const [ours, theirs] = pair.both.map(shown);
    expect(ours).toEqual(theirs);
    expect(ours!.length).toBe(25);
  });
});
