import { Cluster } from './cluster.js';
import { Chance, faults, Nemesis, type NemesisEvent } from './nemesis.js';
import { eventually } from './member.js';
import type { TargetKind } from './target.js';
import { Workload, type WorkloadReport } from './workload.js';

export interface NemesisRun {
  readonly kind: TargetKind;
  readonly members: number;
  readonly seconds: number;
  readonly seed: number;
  /** Names of faults to choose from; all where it is missing. */
  readonly only?: readonly string[];
}

export interface RoundReport extends WorkloadReport {
  readonly seed: number;
  readonly events: readonly NemesisEvent[];
  /** From the last mending until every member was Online and all databases were equal. */
  readonly recoveryMs: number;
  /** Where members' databases still differ; empty when all are equal. */
  readonly difference: string;
}

/** Opens a cluster that can be done everything to. */
export async function openForNemesis(kind: TargetKind, members: number): Promise<Cluster> {
  const cluster = new Cluster({ kind, members, mode: 'namespaces', diskMb: 700, clocks: true });
  await cluster.form();
  return cluster;
}

/** One round on a cluster that is whole: work, faults, mending, judgement. */
export async function nemesisRound(cluster: Cluster, name: string, run: NemesisRun): Promise<RoundReport> {
  const chosen = faults.filter((fault) => run.only?.includes(fault.name) ?? true);
  const workload = new Workload(cluster, { run: name });
  const nemesis = new Nemesis(cluster, new Chance(run.seed), chosen);
  await workload.start();
  nemesis.start();
  await new Promise((done) => setTimeout(done, run.seconds * 1000));
  await nemesis.stop();
  const mended = performance.now();
  try {
    await whole(cluster);
  } catch (error) {
    throw new Error(`seed ${run.seed}: ${nemesis.events.map(({ at, what }) => `${at.toFixed(0)} ${what}`).join('; ')}`, { cause: error });
  }
  const report = await workload.finish();
  const difference = await differing(cluster);
  return { ...report, seed: run.seed, events: nemesis.events, recoveryMs: performance.now() - mended, difference };
}

async function whole(cluster: Cluster): Promise<void> {
  for (const member of cluster.members) {
    const ready = member.daemon(['waitready', '--timeout=50']);
    if (ready.code !== 0) throw new Error(`${member.name} does not come back: ${ready.stderr}`);
    await cluster.settled(member, 120_000);
  }
}

/** Members agree on everything once they have applied everything. */
async function differing(cluster: Cluster): Promise<string> {
  try {
    await eventually(() => cluster.dumps(), (dumps) => dumps.every((dump) => dump === dumps[0]), 30_000);
    return '';
  } catch {
    const [first, ...others] = cluster.dumps().map((dump) => dump.split('\n'));
    return others.map((lines, index) => {
      const at = lines.findIndex((line, number) => line !== first![number]);
      return at < 0 && lines.length === first!.length ? '' : `m${index + 2} line ${at}: ${lines[at]}\nm1: ${first![at]}`;
    }).join('\n');
  }
}

/** One line for people who watch, and what they need to repeat a round that failed. */
export function summary(report: RoundReport): string {
  return `${report.operations} operations, ${report.acknowledgedWrites} acknowledged writes, ${report.unknown} unknown, ${report.refused} refused, ${report.staleReads} stale reads, ` +
    `longest gap ${(report.longestGapMs / 1000).toFixed(1)} s, whole again after ${(report.recoveryMs / 1000).toFixed(1)} s, ${report.violations.length} violations` +
    `${report.difference === '' ? '' : ', DATABASES DIFFER'}`;
}
