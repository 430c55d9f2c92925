import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forbidden, unavailable } from '#kernel';
import { ClusterAddresses, firstToAnswer } from './cluster-addresses.js';
import type { Server } from './server.js';

function server(name: string, closed: string[] = []): Server {
  return { remote: name, close: () => closed.push(name) } as unknown as Server;
}

const down = () => Promise.reject(unavailable('dial tcp: connection refused'));
const silent = () => new Promise<Server>(() => undefined);

describe('ClusterAddresses', () => {
  let directory: string;
  beforeEach(() => { directory = mkdtempSync(`${tmpdir()}/roost-members-`); });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('are those of the cluster a remote names, and of no other it named before', async () => {
    const urls = ['https://a:1', 'https://b:1'];
    const addresses = new ClusterAddresses(directory);
    await addresses.remember('cl', urls[0]!, { clustered: true, get: async () => urls.map((url) => ({ url })) } as unknown as Server);
    expect([addresses.others('cl', urls[0]!), addresses.others('cl', 'https://other:1'), addresses.others('x', urls[0]!)]).toEqual([[urls[1]], [], []]);
  });
});

describe('firstToAnswer', () => {
  it('asks nobody else while the first answers', async () => {
    let others = 0;
    const { index } = await firstToAnswer([async () => server('m1'), async () => { others++; return server('m2'); }], 50);
    expect([index, others]).toEqual([0, 0]);
  });

  it('goes on to the next at once where one cannot be reached, and after a while where one says nothing', async () => {
    expect((await firstToAnswer([down, down, async () => server('m3')], 60_000)).index).toBe(2);
    expect((await firstToAnswer([silent, async () => server('m2')], 10)).index).toBe(1);
  });

  it('closes who comes too late', async () => {
    const closed: string[] = [];
    const late = Promise.withResolvers<Server>();
    await firstToAnswer([() => late.promise, async () => server('m2', closed)], 10);
    late.resolve(server('m1', closed));
    await expect.poll(() => closed).toEqual(['m1']);
  });

  it('complains as the one that was named does, and at once of what is wrong anywhere', async () => {
    await expect(firstToAnswer([() => Promise.reject(unavailable('first')), () => Promise.reject(unavailable('second'))], 10)).rejects.toThrow('first');
    await expect(firstToAnswer([() => Promise.reject(forbidden('not authorized')), async () => server('m2')], 10)).rejects.toThrow('not authorized');
    await expect(firstToAnswer([() => Promise.reject(unavailable('x509: certificate signed by unknown authority')), async () => server('m2')], 10)).rejects.toThrow('x509');
  });
});
