import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ClusterMember, type MemberPlace } from './cluster-member.js';
import { ClusterNetwork } from './cluster-network.js';
import { eventually } from './member.js';
import { must } from './pair.js';
import { Target, type CommandResult, type TargetKind } from './target.js';

const top = resolve(import.meta.dirname, '../..');

export interface ClusterOptions {
  readonly kind: TargetKind;
  /** How many members `open` prepares; more by `add`. */
  readonly members: number;
  /**
   * `loopback`: each its own 127.x.y.N in the host's namespaces, as LXD's own three-member set-ups have it. `namespaces`: each its own mount and
   * network namespace, joined by a bridge, so that links can be cut.
   */
  readonly mode?: 'loopback' | 'namespaces';
  /** First three numbers of loopback addresses; two clusters at a time need different ones. */
  readonly block?: string;
  /** Gives each member a file system of this size for its databases, which `fillDisk` can fill. */
  readonly diskMb?: number;
  /** Lets `shiftClock` work. */
  readonly clocks?: boolean;
  /** Driver of the pool `default`. */
  readonly pool?: 'dir' | 'btrfs';
}

/**
 * Members of one cluster on this machine, ours or real LXD's, driven by the stock client. `destroy` leaves nothing; a guard process does the same
 * when the test run dies instead. With ROOST_KEEP_LOGS=DIRECTORY the daemons' logs are copied there first.
 */
export class Cluster {
  readonly root = mkdtempSync('/tmp/rc-');
  readonly members: ClusterMember[] = [];
  readonly image = join(this.root, 'busybox.tar.gz');
  private readonly network: ClusterNetwork | undefined;
  private readonly guard: ChildProcess;

  constructor(readonly options: ClusterOptions) {
    chmodSync(this.root, 0o711);
    this.network = options.mode === 'namespaces' ? new ClusterNetwork(this.root) : undefined;
    this.guard = spawn(join(top, 'test/support/cluster-sweep'), [this.root, '--guard'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, env: { PATH: process.env['PATH'] } });
    // An open pipe to the guard keeps nobody waiting at the end.
    this.guard.unref();
    (this.guard.stdin as unknown as { unref(): void }).unref();
  }

  /** Why clusters cannot be run here; empty where they can. */
  static whyNot(): string { return Target.whyNotBoth(); }

  get kind(): TargetKind { return this.options.kind; }

  /** Member number `index`, counted from 1. */
  member(index: number): ClusterMember {
    const member = this.members[index - 1];
    if (!member) throw new Error(`There is no member ${index}`);
    return member;
  }

  /** Makes the members' places and starts their daemons; nothing is clustered yet. */
  async open(): Promise<void> {
    await this.network?.open();
    await Promise.all(Array.from({ length: this.options.members }, () => this.add()));
  }

  /** Members that the script they are started by forms into a cluster. */
  async addAll(count: number, formation: (member: ClusterMember) => NodeJS.ProcessEnv): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.add(formation)));
  }

  /** One more member with a running daemon, not joined unless by `formation`. */
  async add(formation: (member: ClusterMember) => NodeJS.ProcessEnv = () => ({})): Promise<ClusterMember> {
    const index = this.members.length + 1;
    const root = join(this.root, `m${index}`);
    mkdirSync(root, { mode: 0o711 });
    const address = this.network ? ClusterNetwork.address(index) : `${this.options.block ?? (this.kind === 'lxd' ? '127.37.2' : '127.37.1')}.${index}`;
    const place: MemberPlace = {
      index, address, enter: () => this.network?.enter(index) ?? [], diskMb: this.options.diskMb ?? 0, clocks: this.options.clocks ?? false,
    };
    const member = new ClusterMember(this.kind, root, place);
    this.members.push(member);
    member.formation = formation(member);
    await this.network?.add(index);
    await member.start();
    return member;
  }

  /** `open`, then bootstrap on the first member and join of the others by token, as people do it. */
  async form(): Promise<void> {
    await this.open();
    this.bootstrap();
    for (const member of this.members.slice(1)) this.join(member);
  }

  /** Makes the first member a cluster of one with the pool `default`, by `lxd init --preseed`. */
  bootstrap(): void {
    const first = this.member(1);
    expectDone(first, 'bootstrap', first.daemon(['init', '--preseed'], `config: {core.https_address: "${first.url}"}
storage_pools: [{name: default, driver: ${this.options.pool ?? 'dir'}${this.options.pool === 'btrfs' ? ', config: {size: 1GiB}' : ''}}]
profiles: [{name: default, devices: {root: {type: disk, path: /, pool: default}}}]
cluster: {enabled: true, server_name: ${first.name}}
`));
  }

  /** A join token for `name`, asked of member `from`. */
  token(name: string, from = this.member(1)): string {
    return must(from, `lxc cluster add ${name}`).trim().split('\n').at(-1)!;
  }

  joinPreseed(member: ClusterMember, token: string): string {
    return `cluster:
  enabled: true
  server_name: ${member.name}
  server_address: "${member.url}"
  cluster_token: ${token}
  member_config: [{entity: storage-pool, name: default, key: ${this.options.pool === 'btrfs' ? 'size, value: 1GiB' : 'source, value: ""'}}]
`;
  }

  join(member: ClusterMember, from = this.member(1)): void {
    expectDone(member, 'join', member.daemon(['init', '--preseed'], this.joinPreseed(member, this.token(member.name, from))));
  }

  /** Imports the small image as `bb`. */
  importImage(): void {
    if (!existsSync(this.image)) spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${this.image}'`]);
    must(this.member(1), `lxc image import ${this.image} --alias bb`);
  }

  /** Cuts the network between two members; only packets from `a` to `b` with `oneWay`. */
  partition(a: ClusterMember, b: ClusterMember, options: { readonly oneWay?: boolean } = {}): void {
    const network = this.cuttable();
    network.cut(a.index, b.index);
    if (!options.oneWay) network.cut(b.index, a.index);
  }

  /** Cuts a member from all others. */
  isolate(member: ClusterMember, options: { readonly oneWay?: boolean } = {}): void {
    for (const other of this.members) if (other !== member) this.partition(member, other, options);
  }

  heal(): void { this.cuttable().heal(); }

  /** The member that has the role `database-leader`, as `member` sees it. */
  leader(member = this.members.find((one) => one.alive())!): ClusterMember {
    const found = /^([^,]+),[^,]*,[^\n]*database-leader/m.exec(must(member, 'timeout 5 lxc cluster list --format csv'))?.[1];
    const leader = this.members.find((one) => one.name === found);
    if (!leader) throw new Error(`No leader in ${must(member, 'lxc cluster list')}`);
    return leader;
  }

  /** Waits until `member` sees all members that joined Online, or Evacuated, which one that was killed in maintenance stays. */
  async settled(member = this.member(1), timeoutMs = 60_000): Promise<void> {
    await eventually(() => member.lxc('query', '/1.0/cluster/members?recursion=1').stdout, (text) => {
      try {
        const listed = JSON.parse(text) as { status: string }[];
        return listed.length > 0 && listed.every(({ status }) => status === 'Online' || status === 'Evacuated');
      } catch {
        return false;
      }
    }, timeoutMs);
  }

  /** Waits until so many members have the role `database`. */
  async voting(count: number): Promise<void> {
    await eventually(() => this.member(1).lxc('cluster', 'list', '--format', 'csv').stdout, (text) => text.match(/\bdatabase(?!-)/g)?.length === count, 30_000);
  }

  /** What each member's database holds, as text that is the same on all of them when they agree. */
  dumps(): string[] {
    return this.members.map((member) => must(member, `'${member.program}' sql global .dump`));
  }

  /** The last lines of every member's logs, for a failure's message. */
  logs(lines = 40): string {
    return this.members.map((member) => [member.logFile, `${member.logFile}.own`].map((file) => {
      return existsSync(file) ? `=== ${member.name} ${file}\n${readFileSync(file, 'utf8').split('\n').slice(-lines).join('\n')}` : '';
    }).join('\n')).join('\n');
  }

  /** Ends everything and removes every trace from the host. Returns what killed members left behind, for information. */
  async destroy(): Promise<string[]> {
    const keep = process.env['ROOST_KEEP_LOGS'];
    if (keep) for (const member of this.members) keepLogs(member, keep);
    for (const member of this.members) member.resume();
    const [first] = this.members.filter((member) => member.alive());
    first?.run('for i in $(lxc list --all-projects -f csv -c n 2>/dev/null); do timeout 20 lxc delete -f "$i"; done');
    first?.run('for i in $(lxc network list -f csv 2>/dev/null | grep ,YES, | cut -d, -f1); do timeout 20 lxc network delete "$i"; done');
    await Promise.all(this.members.map((member) => member.stop(true)));
    this.network?.close();
    const swept = spawnSync(join(top, 'test/support/cluster-sweep'), [this.root], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
    this.guard.stdin!.end();
    rmSync(this.root, { recursive: true, force: true });
    return swept.stdout.split('\n').filter((line) => line !== '');
  }

  private cuttable(): ClusterNetwork {
    if (!this.network) throw new Error('Members on loopback addresses cannot be parted: mode "namespaces"');
    return this.network;
  }
}

function keepLogs(member: ClusterMember, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const file of [member.logFile, `${member.logFile}.own`]) {
    if (existsSync(file)) cpSync(file, join(directory, `${member.root.replaceAll('/', '_')}-${file.endsWith('.own') ? 'own' : 'out'}.log`));
  }
}

function expectDone(member: ClusterMember, what: string, result: CommandResult): void {
  if (result.code !== 0) throw new Error(`${member.kind} ${member.name}: ${what}: ${result.stderr}${result.stdout}\n${readFileSync(member.logFile, 'utf8').slice(-4000)}`);
}
