import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { nemesisRound, openForNemesis, summary } from '../support/nemesis-run.js';
import { unmet } from '../support/needs.js';
import type { TargetKind } from '../support/target.js';

/** NEMESIS_SECONDS lengthens it, NEMESIS_SEED repeats it, TARGET=lxd lets the judges judge real LXD. For hours: test/cluster/nemesis-long. */
const seconds = Number(process.env['NEMESIS_SECONDS'] ?? 60);
const seed = Number(process.env['NEMESIS_SEED'] ?? Date.now() % 1_000_000);
const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;

describe.skipIf(unmet('a cluster under attack', Cluster.whyNot()))('three members, while their parts are killed, paused, cut off and starved', () => {
  let cluster: Cluster;
  beforeAll(async () => { cluster = await openForNemesis(kind, 3); });
  afterAll(async () => { await cluster.destroy(); });

  it('lose nothing acknowledged, show nothing twice, do not go back in time, and end up equal', { timeout: (seconds + 240) * 1000 }, async () => {
    const report = await nemesisRound(cluster, 'n1', { kind, members: 3, seconds, seed });

    process.stdout.write(`seed ${seed}: ${summary(report)}\n`);
    const context = `seed ${seed}; ${report.events.map(({ at, what }) => `${at.toFixed(0)} ${what}`).join('; ')}`;
    expect(report.violations, context).toEqual([]);
    expect(report.difference, context).toBe('');
    expect(report.acknowledgedWrites, context).toBeGreaterThan(seconds);
  });
});
