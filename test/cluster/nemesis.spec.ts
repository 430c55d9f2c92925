import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { nemesisRound, openForNemesis, summary, type RoundReport } from '../support/nemesis-run.js';
import { unmet } from '../support/needs.js';
import type { TargetKind } from '../support/target.js';

/** NEMESIS_SECONDS lengthens it, NEMESIS_SEED repeats it, TARGET=lxd lets the judges judge real LXD. For hours: test/cluster/nemesis-long. */
const hours = Number(process.env['NEMESIS_HOURS'] ?? 0);
const seconds = Number(process.env['NEMESIS_SECONDS'] ?? (hours > 0 ? 120 : 60));
const members = Number(process.env['NEMESIS_MEMBERS'] ?? 3);
const firstSeed = Number(process.env['NEMESIS_SEED'] ?? Date.now() % 1_000_000);
const only = process.env['NEMESIS_ONLY']?.split(';');
const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;

describe.skipIf(unmet('a cluster under attack', Cluster.whyNot()))('members whose parts are killed, paused, cut off and starved', () => {
  let cluster: Cluster;
  let failed = true;
  beforeAll(async () => { cluster = await openForNemesis(kind, members); });
  afterAll(async () => {
    if (failed) process.stderr.write(cluster.logs());
    await cluster.destroy();
  });

  it('lose nothing acknowledged, show nothing twice, do not go back in time, and end up equal', { timeout: (hours * 3600 + seconds + 240) * 1000 }, async () => {
    const until = performance.now() + hours * 3_600_000;
    let round = 0;
    do {
      const seed = firstSeed + round++;
      const report = await nemesisRound(cluster, `n${round}`, { kind, members, seconds, seed, ...(only ? { only } : {}) });
      note(`${new Date().toISOString()} round ${round}, seed ${seed}: ${summary(report)}`);
      const story = told(report);
      if (report.violations.length > 0 || report.difference !== '') note(story);

      expect(report.violations, story).toEqual([]);
      expect(report.difference, story).toBe('');
      expect(report.acknowledgedWrites, story).toBeGreaterThan(seconds);
    } while (performance.now() < until);
    failed = false;
  });
});

function told(report: RoundReport): string {
  return [`seed ${report.seed}`, ...report.events.map(({ at, what }) => `${at.toFixed(0)} ${what}`), ...report.violations, report.difference].join('\n');
}

function note(text: string): void {
  process.stdout.write(`${text}\n`);
  if (process.env['NEMESIS_REPORT']) appendFileSync(process.env['NEMESIS_REPORT'], `${text}\n`);
}
