import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalMember, SilentLogger, randomHex } from '#kernel';
import { FakePeerNetwork } from '#ports/testing';
import { clientEndpoint, EtcdClient, EtcdPki, LeaseLiveness, LocalVoter, VoterBoots, VoterDuties, VoterManager, VoterRoster, voterName, type EtcdKeeperEvents, type EtcdMember, type EtcdStatus, type RosterChange, type RosterMember, type VoterSettings } from '#platform/raft';
import { findEtcd } from '../../apps/daemon/src/supervise/etcd-processes.js';
import { EtcdSupervisor } from '../../apps/daemon/src/supervise/etcd-supervisor.js';

/** The rows of the cluster, in memory: every member sees them at once. */
class SharedRoster extends VoterRoster {
  readonly rows = new Map<number, RosterMember>();
  readonly listeners = new Set<() => void>();
  current: VoterSettings = { maxVoters: 3, maxStandby: 2, offlineThresholdMs: 4_000 };

  override members(): readonly RosterMember[] {
    return [...this.rows.values()];
  }

  override settings(): VoterSettings {
    return this.current;
  }

  override async upToDate(): Promise<void> {}

  override async record(changes: readonly RosterChange[]): Promise<void> {
    for (const { memberId, part, raft } of changes) {
      const row = this.rows.get(memberId);
      if (row) this.rows.set(memberId, { ...row, part, raft });
    }
    this.tell();
  }

  override onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** One member: its own etcd as a process, everything that looks after voters, no database. */
export class VoterMember {
  readonly member = Object.assign(new LocalMember(), { clustered: true });
  readonly pki: EtcdPki;
  readonly told: string[] = [];
  voter!: LocalVoter;
  liveness!: LeaseLiveness;
  duties!: VoterDuties;
  manager!: VoterManager;
  client: EtcdClient | undefined;
  private program = 'etcd';
  private events: Partial<EtcdKeeperEvents> = {};

  constructor(private readonly cluster: VoterCluster, readonly id: number, readonly address: string, readonly directory: string) {
    mkdirSync(directory, { recursive: true });
    Object.assign(this.member, { id, name: `m${id}` });
    this.pki = new EtcdPki(join(directory, 'etcd-pki'));
    this.make();
  }

  /** What a new process of this member starts with. */
  private make(): void {
    const { roster, network } = this.cluster;
    const logger = new SilentLogger();
    const events: EtcdKeeperEvents = {
      onWarning: (message) => { this.told.push(message); this.events.onWarning?.(message); },
      onRecovered: () => this.events.onRecovered?.(),
      onDamaged: (message) => { this.told.push(`damaged: ${message}`); this.events.onDamaged?.(message); },
      onRemoved: () => { this.told.push('removed'); this.events.onRemoved?.(); },
    };
    const peers = network.add({ id: this.id, name: `m${this.id}`, address: this.address });
    this.voter = new LocalVoter({ launcher: new EtcdSupervisor(logger, this.program), pki: this.pki, logger, directory: join(this.directory, 'etcd'), events, quotaBytes: this.cluster.quotaBytes });
    this.liveness = new LeaseLiveness({ member: this.member, logger, offlineThresholdMs: () => roster.settings().offlineThresholdMs });
    const parts = { member: this.member, voter: this.voter, roster, peers, liveness: this.liveness, logger };
    this.duties = new VoterDuties(parts);
    this.manager = new VoterManager({ ...parts, failingMs: 1_500 });
    this.events = this.duties;
  }

  /** What a daemon does when it starts: its own voter first, then everything that needs the others. */
  async follow(): Promise<void> {
    const { incarnation, roster } = this.cluster;
    this.client = new EtcdClient({ endpoints: this.cluster.endpoints(this.id), credentials: await this.pki.clientCredentials(voterName(this.id)) });
    roster.onChange(() => this.client?.setEndpoints(this.cluster.endpoints(this.id)));
    await this.resume();
    await this.liveness.follow(this.client, incarnation);
    this.duties.follow({ client: this.client, incarnation });
    this.manager.follow({ client: this.client, incarnation });
  }

  /** Another program in etcd's place. */
  useProgram(path: string): void {
    this.program = path;
    this.disconnect();
    this.make();
    void this.follow();
  }

  /** As a daemon that is killed: its etcd goes on. A new one takes its place. */
  async dieAndComeBack(): Promise<void> {
    this.disconnect();
    // A process that was killed keeps nothing running.
    Object.assign((this.voter as unknown as { keeper: object }).keeper, { stopped: true });
    this.make();
    await this.follow();
  }

  private async resume(): Promise<void> {
    const { incarnation, roster } = this.cluster;
    const row = roster.rows.get(this.id)!;
    if (row.raft === null || this.voter.isRunning(incarnation)) return;
    const others = this.cluster.endpoints(this.id).filter((endpoint) => endpoint !== clientEndpoint(row.address, row.raft!));
    const refused = await new VoterBoots(incarnation, this.id, this.voter.dataDirectory(incarnation)).admit(this.client!, others, 0);
    if (refused !== null) {
      this.told.push(`damaged: ${refused}`);
      this.events.onDamaged?.(refused);
    }
    else await this.voter.resume(incarnation, row, row.raft);
  }

  async shutDown(): Promise<void> {
    await this.manager.handOver().catch(() => undefined);
    await this.liveness.unfollow();
    this.disconnect();
    await this.voter.stop();
  }

  /** As a machine that loses power. */
  async powerOff(): Promise<void> {
    this.cluster.network.down.add(this.id);
    this.disconnect();
    const { pid } = this.voter;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await this.voter.stop();
  }

  async powerOn(): Promise<void> {
    this.cluster.network.down.delete(this.id);
    this.make();
    await this.follow();
  }

  status(): Promise<EtcdStatus> {
    const { raft, address } = this.cluster.roster.rows.get(this.id)!;
    return this.client!.status(clientEndpoint(address, raft!));
  }

  private disconnect(): void {
    this.manager.unfollow();
    this.duties.unfollow();
    // Without giving the lease back: so it is with a kill.
    (this.liveness as unknown as { following?: { ended: AbortController; lease: { ended: AbortController }; timer: NodeJS.Timeout } }).following?.lease.ended.abort();
    void this.liveness.unfollow();
    this.client?.close();
  }
}

/** Members of one cluster on addresses 127.31.<block>.<id>, in directories of their own. */
export class VoterCluster {
  readonly root = mkdtempSync(join(tmpdir(), 'roost-voters-'));
  readonly network = new FakePeerNetwork();
  readonly roster = new SharedRoster();
  readonly incarnation = randomHex(8);
  readonly members: VoterMember[] = [];
  /** Of voters started from now on. */
  quotaBytes: number | undefined;

  constructor(private readonly block: number) {}

  get first(): VoterMember {
    return this.members[0]!;
  }

  /** The first member with the first voter. */
  async bootstrap(): Promise<VoterMember> {
    const first = this.make();
    await first.pki.create(this.incarnation);
    const ports = await first.voter.choosePorts({ id: 1, name: 'm1', address: first.address });
    await first.voter.bootstrap(this.incarnation, { id: 1, name: 'm1', address: first.address }, ports);
    this.roster.rows.set(1, { ...this.roster.rows.get(1)!, part: 'voter', raft: { ...ports, id: '' } });
    await first.follow();
    await until(async () => (await first.status()).leader !== '0', 'the first voter leads');
    return first;
  }

  /** A member that joins; whether it votes is up to the leader. */
  async join(): Promise<VoterMember> {
    const joiner = this.make();
    await joiner.pki.importAuthority(this.first.pki.authority());
    await joiner.follow();
    this.roster.tell();
    return joiner;
  }

  endpoints(memberId: number): string[] {
    const rows = [...this.roster.rows.values()].filter((row) => row.raft !== null && row.part === 'voter');
    return rows.toSorted((a, b) => Number(b.id === memberId) - Number(a.id === memberId)).map((row) => clientEndpoint(row.address, row.raft!));
  }

  /** etcd's own list, as `member-1 member-2`, learners with `?`. */
  async voters(from: VoterMember = this.first): Promise<string> {
    const members: readonly EtcdMember[] = await from.client!.members();
    return members.map(({ name, isLearner }) => `${name || 'unstarted'}${isLearner ? '?' : ''}`).toSorted().join(' ');
  }

  parts(): string {
    return [...this.roster.rows.values()].map(({ part }) => part || '-').join(' ');
  }

  /** Failure domains of members 1, 2, ... */
  place(...domains: string[]): void {
    for (const [at, failureDomain] of domains.entries()) this.roster.rows.set(at + 1, { ...this.roster.rows.get(at + 1)!, failureDomain });
    this.roster.tell();
  }

  forget(memberId: number): void {
    this.roster.rows.delete(memberId);
    this.roster.tell();
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.shutDown().catch(() => undefined);
    for (const member of this.members) for (const { pid } of findEtcd(member.voter.dataDirectory(this.incarnation))) process.kill(pid, 'SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
  }

  private make(): VoterMember {
    const id = this.members.length + 1;
    const address = `127.31.${this.block}.${id}:8443`;
    this.roster.rows.set(id, { id, name: `m${id}`, witness: false, address, failureDomain: 'default', created: true, evacuated: false, part: '', raft: null });
    const member = new VoterMember(this, id, address, join(this.root, `m${id}`));
    this.members.push(member);
    return member;
  }
}

/** Polls until `condition` holds; what it throws counts as no. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 30_000): Promise<void> {
  let last: unknown;
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last === undefined ? '' : ` (${String(last)})`}`);
}
