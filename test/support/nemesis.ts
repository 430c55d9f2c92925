import type { Cluster } from './cluster.js';
import type { ClusterMember, Part } from './cluster-member.js';

/** Something that goes wrong for a while. `begin` returns what mends it; daemons that ended are started afterwards anyway. */
export interface Fault {
  readonly name: string;
  readonly begin: (cluster: Cluster, chance: Chance) => Promise<() => void>;
}

export interface NemesisEvent {
  readonly at: number;
  readonly what: string;
}

/** Random choices that a seed repeats. */
export class Chance {
  private state: number;

  constructor(readonly seed: number) { this.state = seed >>> 0; }

  next(): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return (this.state >>> 8) / 2 ** 24;
  }

  pick<T>(from: readonly T[]): T { return from[Math.floor(this.next() * from.length)]!; }

  between(least: number, most: number): number { return least + this.next() * (most - least); }
}

const killAndStart = (part: Part, choose: (cluster: Cluster, chance: Chance) => ClusterMember[]): Fault['begin'] => async (cluster, chance) => {
  const victims = choose(cluster, chance);
  await Promise.all(victims.map((member) => member.kill(part)));
  return startedLater;
};

/** Agents and etcd are started again by their daemon, daemons by the nemesis once everything else is mended. */
const startedLater = (): void => undefined;

const one = (cluster: Cluster, chance: Chance): ClusterMember[] => [chance.pick(cluster.members)];
const all = (cluster: Cluster): ClusterMember[] => cluster.members;

/** The leader as any member that answers knows it; any member where none does. */
function leader(cluster: Cluster, chance: Chance): ClusterMember[] {
  try {
    return [cluster.leader(chance.pick(cluster.members))];
  } catch {
    return one(cluster, chance);
  }
}

const paused = (part: Part, choose: typeof one): Fault['begin'] => async (cluster, chance) => {
  const victims = choose(cluster, chance);
  for (const member of victims) member.pause(part);
  return () => { for (const member of victims) member.resume(); };
};

const parted = (cut: (cluster: Cluster, chance: Chance) => void): Fault['begin'] => async (cluster, chance) => {
  cut(cluster, chance);
  return () => cluster.heal();
};

/** Everything issue trackers of databases are full of. */
export const faults: readonly Fault[] = [
  { name: 'kill a daemon', begin: killAndStart('daemon', one) },
  { name: 'kill the leader\'s daemon', begin: killAndStart('daemon', leader) },
  { name: 'kill all daemons', begin: killAndStart('daemon', all) },
  { name: 'kill an etcd', begin: killAndStart('etcd', one) },
  { name: 'kill the leader\'s etcd', begin: killAndStart('etcd', leader) },
  { name: 'kill all etcds', begin: killAndStart('etcd', all) },
  { name: 'kill an agent', begin: killAndStart('agent', one) },
  { name: 'crash a member', begin: async (cluster, chance) => {
    const [victim] = one(cluster, chance);
    await victim!.crash();
    return startedLater;
  } },
  { name: 'pause a daemon', begin: paused('daemon', one) },
  { name: 'pause the leader\'s etcd', begin: paused('etcd', leader) },
  { name: 'pause an etcd', begin: paused('etcd', one) },
  { name: 'pause an agent', begin: paused('agent', one) },
  { name: 'isolate a member', begin: parted((cluster, chance) => cluster.isolate(chance.pick(cluster.members))) },
  { name: 'isolate the leader', begin: parted((cluster, chance) => cluster.isolate(leader(cluster, chance)[0]!)) },
  { name: 'a member is not heard', begin: parted((cluster, chance) => cluster.isolate(chance.pick(cluster.members), { oneWay: true })) },
  { name: 'a member hears nothing', begin: parted((cluster, chance) => {
    const deaf = chance.pick(cluster.members);
    for (const member of cluster.members) if (member !== deaf) cluster.partition(member, deaf, { oneWay: true });
  }) },
  { name: 'part two members', begin: parted((cluster, chance) => {
    const first = chance.pick(cluster.members);
    cluster.partition(first, chance.pick(cluster.members.filter((member) => member !== first)));
  }) },
  { name: 'part all members', begin: parted((cluster) => { for (const member of cluster.members) cluster.isolate(member); }) },
  { name: 'fill a disk', begin: async (cluster, chance) => {
    const victim = chance.pick(cluster.members);
    victim.fillDisk();
    return () => victim.freeDisk();
  } },
  { name: 'shift a clock', begin: async (cluster, chance) => {
    const victim = chance.pick(cluster.members);
    victim.shiftClock(chance.pick([-1, 1]) * chance.between(1, 4000));
    return () => victim.shiftClock(0);
  } },
];

/** Faults one after the other, sometimes two at a time, each mended after a few seconds, until told to stop. */
export class Nemesis {
  readonly events: NemesisEvent[] = [];
  private stopping = false;
  private running: Promise<void> | undefined;
  private trouble: unknown;

  constructor(private readonly cluster: Cluster, private readonly chance: Chance, private readonly chosen: readonly Fault[] = faults) {}

  start(): void {
    this.running = this.run().catch((error: unknown) => { this.trouble = error; });
  }

  /** Mends what is broken and returns when nothing is any more. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
    if (this.trouble !== undefined) throw this.trouble;
  }

  private async run(): Promise<void> {
    let queue: Fault[] = [];
    while (!this.stopping) {
      const mends: (() => void)[] = [];
      for (let together = this.chance.next() < 0.25 ? 2 : 1; together > 0; together--) {
        // Every fault has its turn before one comes again.
        if (queue.length === 0) queue = this.shuffled();
        mends.push(await this.begin(queue.pop()!));
      }
      await this.pause(this.chance.between(1500, 5000));
      for (const mend of mends) mend();
      for (const member of this.cluster.members) if (!member.alive()) member.launch();
      this.note('mended');
      await this.pause(this.chance.between(1000, 4000));
    }
  }

  private async begin(fault: Fault): Promise<() => void> {
    this.note(fault.name);
    return fault.begin(this.cluster, this.chance);
  }

  private shuffled(): Fault[] {
    return this.chosen.map((fault) => ({ fault, at: this.chance.next() })).sort((a, b) => a.at - b.at).map(({ fault }) => fault);
  }

  private note(what: string): void { this.events.push({ at: performance.now(), what }); }

  private async pause(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (!this.stopping && performance.now() < until) await new Promise((done) => setTimeout(done, 50));
  }
}
