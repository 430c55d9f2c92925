import { describe, expect, it } from 'vitest';
import { internalContext, invalid, unavailable } from '#kernel';
import { notifyPeers, requirePeersOnline } from './peer-notices.js';
import { FakePeerNetwork } from './testing/index.js';

const ctx = internalContext();

function three() {
  const network = new FakePeerNetwork();
  const members = [1, 2, 3].map((id) => ({ id, name: `m${id}`, address: `10.0.0.${id}:8443` }));
  const [a, b, c] = members.map((member) => network.add(member));
  return { network, a: a!, b: b!, c: c!, others: members.slice(1) };
}

describe('notices to other members', () => {
  it('reach all, and fail with the first of those that refuse, once all have answered', async () => {
    const { a, b, c, others } = three();
    const seen: string[] = [];
    b.handle('x.do', async (request: { what: string }) => { seen.push(`b ${request.what}`); });
    c.handle('x.do', async (request: { what: string }) => { seen.push(`c ${request.what}`); });
    await notifyPeers(a, others, ctx, 'x.do', { what: 'this' });
    expect(seen.sort()).toEqual(['b this', 'c this']);

    b.handle('x.do', async () => { throw invalid('not me'); });
    await expect(notifyPeers(a, others, ctx, 'x.do', { what: 'that' })).rejects.toMatchObject({ kind: 'internal', message: 'failed to notify peer 10.0.0.2:8443: not me' });
    expect(seen).toContain('c that');
  });

  it('wait for a member that has just come back', async () => {
    const { a, b, c, others } = three();
    let asked = 0;
    b.handle('x.do', async () => { if (asked++ < 2) throw unavailable('connection refused'); });
    c.handle('x.do', async () => undefined);
    await notifyPeers(a, others, ctx, 'x.do', {});
    expect(asked).toBe(3);
  });

  it('do not wait for one that is known to be away', async () => {
    const { network, a, others } = three();
    network.down.add(3);
    expect(() => requirePeersOnline(a, others)).toThrow('peer node 10.0.0.3:8443 is down');
    await expect(notifyPeers(a, others.slice(1), ctx, 'x.do', {})).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
