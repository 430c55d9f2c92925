import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember } from '../support/cluster-member.js';
import { unmet } from '../support/needs.js';
import type { TargetKind } from '../support/target.js';
import { UnixApi } from '../support/unix-api.js';

const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;
const seconds = Number(process.env['CONTENTION_SECONDS'] ?? 5);
const clients = 16;

describe.skipIf(unmet('members writing at once', Cluster.whyNot()))('three members with sixteen writers each', () => {
  const cluster = new Cluster({ kind, members: 3, block: '127.37.5' });
  beforeAll(async () => {
    await cluster.form();
    await cluster.settled();
  });
  afterAll(async () => { await cluster.destroy(); });

  /** Milliseconds of every write one client did, each of its own profile. */
  const client = async (member: ClusterMember, number: number, until: number): Promise<number[]> => {
    const api = new UnixApi(member.socket);
    const name = `c-${member.name}-${number}`;
    expect((await api.call('POST', '/1.0/profiles', { body: { name }, timeoutMs: 20_000 })).status).toBe(201);
    const times: number[] = [];
    for (let value = 0; performance.now() < until; value++) {
      const start = performance.now();
      const { status } = await api.call('PATCH', `/1.0/profiles/${name}`, { body: { config: { 'user.v': String(value) } }, timeoutMs: 20_000 });
      expect(status).toBe(200);
      times.push(performance.now() - start);
    }
    api.close();
    return times;
  };

  it('have their turns: none is starved by the others', async () => {
    const until = performance.now() + seconds * 1000;
    const results = await Promise.all(cluster.members.map(async (member) => {
      const times = (await Promise.all(Array.from({ length: clients }, (_, number) => client(member, number, until)))).flat().sort((a, b) => a - b);
      const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
      process.stdout.write(`${member.name}: ${(times.length / seconds).toFixed(0)} writes/s, p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms\n`);
      return { count: times.length, p99: at(0.99) };
    }));

    const total = results.reduce((sum, { count }) => sum + count, 0);
    for (const { count } of results) expect(count).toBeGreaterThan(total / 10);
  });
});
