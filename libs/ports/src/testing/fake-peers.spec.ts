import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { invalid } from '#kernel';
import { FakePeerNetwork } from './fake-peers.js';

describe('FakePeers', () => {
  it('connects members by id, with the words and kinds of errors', async () => {
    const network = new FakePeerNetwork();
    const m1 = network.add({ id: 1, name: 'm1', address: '127.0.0.1:1' });
    const m2 = network.add({ id: 2, name: 'm2', address: '127.0.0.1:2' });
    m2.handle('thing.do', async (request: { n: number }, caller) => ({ n: request.n + 1, from: caller.memberName }));
    m2.handle('thing.refuse', async () => { throw invalid('no'); });
    m2.handleStream('thing.read', async (_request, stream) => void stream.end('bytes'));

    expect(await m1.call(2, 'thing.do', { n: 1 })).toEqual({ n: 2, from: 'm1' });
    await expect(m1.call(2, 'thing.refuse', {})).rejects.toMatchObject({ kind: 'invalid', message: 'no' });
    const stream = await m1.openStream(2, 'thing.read', {});
    stream.end();
    expect(await text(stream)).toBe('bytes');
    expect(m1.others().map(({ name }) => name)).toEqual(['m2']);

    network.down.add(2);

    await expect(m1.call(2, 'thing.do', { n: 1 })).rejects.toMatchObject({ kind: 'unavailable' });
    expect(m1.isOnline(2)).toBe(false);
  });
});
