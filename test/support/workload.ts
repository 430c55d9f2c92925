import type { Cluster } from './cluster.js';
import type { ClusterMember } from './cluster-member.js';
import { checkGrowingSet, checkRegister, type GrowingSet, type RegisterInput, type RegisterOperation, type RegisterOutput } from './linearizability.js';
import { UnixApi, type Answer } from './unix-api.js';

export interface WorkloadOptions {
  /** Told apart by name, so that several runs can follow one another on one cluster. */
  readonly run: string;
  readonly registers?: number;
  readonly workersPerMember?: number;
  /** Pause between two operations of a worker, on average. */
  readonly pauseMs?: number;
}

export interface WorkloadReport {
  readonly operations: number;
  readonly acknowledgedWrites: number;
  /** Not sent, as the daemon was not there. */
  readonly unreached: number;
  readonly unknown: number;
  readonly refused: number;
  readonly staleReads: number;
  /** Longest time without any acknowledged write. */
  readonly longestGapMs: number;
  /** What is not linearizable; empty when all is well. */
  readonly violations: readonly string[];
}

type Add = GrowingSet['adds'][number];
type List = GrowingSet['lists'][number];

/**
 * Workers at all members, each doing one thing at a time: reads, writes and compare-and-sets (If-Match) of profiles that serve as registers, and
 * profiles made and listed as a set that grows. Everything is recorded with its times and judged by `finish`.
 */
export class Workload {
  private readonly history: RegisterOperation[][] = [];
  private readonly adds: Add[] = [];
  private readonly lists: List[] = [];
  private readonly acknowledged: number[] = [];
  private readonly counts = { unreached: 0, unknown: 0, refused: 0, staleReads: 0 };
  private readonly strange = new Set<string>();
  private readonly workers: Promise<void>[] = [];
  private stopping = false;
  private serial = 0;

  constructor(private readonly cluster: Cluster, private readonly options: WorkloadOptions) {}

  /** Makes the registers, through any member, and starts the workers. */
  async start(): Promise<void> {
    const api = new UnixApi(this.cluster.member(1).socket);
    for (let index = 0; index < (this.options.registers ?? 5); index++) {
      const made = await api.call('POST', '/1.0/profiles', { body: { name: this.register(index), config: { 'user.v': 'first' } } });
      if (made.status !== 201) throw new Error(`${this.register(index)}: ${made.body.error}`);
      this.history.push([]);
    }
    api.close();
    for (const member of this.cluster.members) {
      for (let index = 0; index < (this.options.workersPerMember ?? 3); index++) this.workers.push(this.work(member, `${member.name}.${index}`));
    }
  }

  /** Stops the workers, reads everything once more through every member and checks. The cluster must be whole again. */
  async finish(): Promise<WorkloadReport> {
    this.stopping = true;
    await Promise.all(this.workers);
    for (const member of this.cluster.members) {
      const api = new UnixApi(member.socket);
      for (let index = 0; index < this.history.length; index++) await this.read(api, index, member.name);
      await this.list(api, member.name);
      api.close();
    }
    return this.report();
  }

  private report(): WorkloadReport {
    const times = this.acknowledged.sort((a, b) => a - b);
    return {
      operations: this.history.reduce((sum, one) => sum + one.length, 0) + this.adds.length + this.lists.length,
      acknowledgedWrites: times.length,
      ...this.counts,
      longestGapMs: times.reduce((longest, at, index) => (index === 0 ? 0 : Math.max(longest, at - times[index - 1]!)), 0),
      violations: [...this.strange, ...this.history.flatMap((history, index) => this.judged(history, index)), ...checkGrowingSet({ adds: this.adds, lists: this.lists })],
    };
  }

  private judged(history: readonly RegisterOperation[], index: number): string[] {
    const verdict = checkRegister(history, 'first');
    if (verdict.ok) return [];
    const shown = (operation: RegisterOperation): string => `${operation.process} ${JSON.stringify(operation.input)} -> ${JSON.stringify(operation.output)} [${operation.call.toFixed(1)}, ${operation.return.toFixed(1)}]`;
    return [`${this.register(index)} is not linearizable; after\n  ${verdict.prefix.slice(-8).map(shown).join('\n  ')}\nnone of these can come next\n  ${verdict.stuck.slice(0, 12).map(shown).join('\n  ')}`];
  }

  private register(index: number): string { return `${this.options.run}-r${index}`; }

  private async work(member: ClusterMember, process: string): Promise<void> {
    const api = new UnixApi(member.socket);
    while (!this.stopping) {
      const index = Math.floor(Math.random() * this.history.length);
      const dice = Math.random();
      if (dice < 0.4) await this.read(api, index, process);
      else if (dice < 0.6) await this.write(api, index, process);
      else if (dice < 0.8) await this.compareAndSet(api, index, process);
      else if (dice < 0.9) await this.add(api, process);
      else await this.list(api, process);
      await new Promise((done) => setTimeout(done, Math.random() * 2 * (this.options.pauseMs ?? 20)));
    }
    api.close();
  }

  private async read(api: UnixApi, index: number, process: string): Promise<{ value: string; etag: string } | undefined> {
    const call = performance.now();
    const answer = await this.ask(api.call('GET', `/1.0/profiles/${this.register(index)}`), 200);
    if (answer === 'unreached' || answer?.status !== 200) return undefined;
    if (isStale(answer)) {
      this.counts.staleReads++;
      return undefined;
    }
    const value = (answer.body.metadata as { config: Record<string, string> }).config['user.v']!;
    this.record(index, process, { kind: 'read' }, value, call);
    return { value, etag: answer.etag };
  }

  private async write(api: UnixApi, index: number, process: string): Promise<void> {
    const value = this.fresh(process);
    const call = performance.now();
    const answer = await this.ask(api.call('PATCH', `/1.0/profiles/${this.register(index)}`, { body: { config: { 'user.v': value } } }), 200);
    if (answer === 'unreached') return;
    this.record(index, process, { kind: 'write', value }, answer?.status === 200 ? true : undefined, call);
  }

  private async compareAndSet(api: UnixApi, index: number, process: string): Promise<void> {
    const before = await this.read(api, index, process);
    if (!before) return;
    const value = this.fresh(process);
    const call = performance.now();
    const answer = await this.ask(api.call('PUT', `/1.0/profiles/${this.register(index)}`, { body: { config: { 'user.v': value }, description: '', devices: {} }, ifMatch: before.etag }), 200, 412);
    if (answer === 'unreached') return;
    const output = answer?.status === 200 ? true : answer?.status === 412 ? false : undefined;
    this.record(index, process, { kind: 'cas', old: before.value, value }, output, call);
  }

  private async add(api: UnixApi, process: string): Promise<void> {
    const element = `${this.options.run}-s-${this.fresh(process)}`;
    const call = performance.now();
    const answer = await this.ask(api.call('POST', '/1.0/profiles', { body: { name: element } }), 201);
    if (answer === 'unreached') return;
    const done = answer?.status === 201;
    this.adds.push({ element, call, ...(done ? { outcome: true, return: this.acknowledge() } : { return: Infinity }) });
  }

  private async list(api: UnixApi, process: string): Promise<void> {
    const call = performance.now();
    const answer = await this.ask(api.call('GET', '/1.0/profiles'), 200);
    if (answer === 'unreached' || answer?.status !== 200) return;
    if (isStale(answer)) {
      this.counts.staleReads++;
      return;
    }
    const names = (answer.body.metadata as string[]).map((url) => url.split('/').at(-1)!);
    this.lists.push({ elements: names.filter((name) => name.startsWith(`${this.options.run}-s-`)), call, return: performance.now(), process });
  }

  private record(index: number, process: string, input: RegisterInput, output: RegisterOutput | undefined, call: number): void {
    const returned = output === undefined ? Infinity : output === true ? this.acknowledge() : performance.now();
    this.history[index]!.push({ process, input, call, return: returned, ...(output === undefined ? {} : { output }) });
  }

  private acknowledge(): number {
    const now = performance.now();
    this.acknowledged.push(now);
    return now;
  }

  /** Undefined where no answer came. Errors are not trusted to mean that nothing happened, but for those of connecting. */
  private async ask(call: Promise<Answer>, ...expected: readonly number[]): Promise<Answer | undefined | 'unreached'> {
    try {
      const answer = await call;
      if (answer.status >= 500) this.counts.refused++;
      // A name that was never used cannot be taken, and a register cannot be missing.
      else if (!expected.includes(answer.status)) this.strange.add(`an answer nobody could expect: ${answer.status} ${answer.body.error}`);
      return answer;
    } catch (error) {
      // Nobody listens: nothing can have happened.
      if (['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) {
        this.counts.unreached++;
        await new Promise((done) => setTimeout(done, 100));
        return 'unreached';
      }
      this.counts.unknown++;
      return undefined;
    }
  }

  private fresh(process: string): string { return `${process}.${this.serial++}`; }
}

/** Answered without a majority, from what this member knew; such an answer promises nothing about now. */
function isStale(answer: Answer): boolean {
  return answer.headers['x-roost-stale'] !== undefined;
}
