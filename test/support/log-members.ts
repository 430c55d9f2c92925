import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EtcdSupervisor } from '../../apps/daemon/src/supervise/etcd-supervisor.js';
import { internalContext, LocalMember, SilentLogger, StateDirectory } from '#kernel';
import { EtcdClusterLog, OpenDatabase, QuorumRecovery, type RecoveryReport, type Tx } from '#platform/database';
import type { EtcdMember } from '#platform/raft';

const ctx = internalContext();

/** One member's database and log on real etcd, without the daemon around them. */
export class LogMember {
  readonly root = mkdtempSync('/tmp/rl-');
  readonly local = new LocalMember();
  open!: OpenDatabase;
  cluster!: EtcdClusterLog;

  private constructor(readonly name: string, readonly address: string) {}

  static async create(name: string, address: string): Promise<LogMember> {
    const member = new LogMember(name, address);
    await member.start();
    return member;
  }

  async start(): Promise<void> {
    const state = new StateDirectory(this.root);
    const logger = new SilentLogger();
    this.open = await OpenDatabase.open({ directory: state.database, ballast: { bytes: 0 }, member: this.local });
    this.cluster = new EtcdClusterLog({ open: this.open, launcher: new EtcdSupervisor(logger), member: this.local, state, logger });
    await this.cluster.start();
  }

  /** Recovers this member, which is stopped, from the loss of its majority. */
  async recover(): Promise<RecoveryReport> {
    const state = new StateDirectory(this.root);
    const logger = new SilentLogger();
    const launcher = new EtcdSupervisor(logger);
    const open = await OpenDatabase.open({ directory: state.database, ballast: { bytes: 0 }, member: this.local });
    const cluster = new EtcdClusterLog({ open, launcher, member: this.local, state, logger });
    try {
      const recovery = new QuorumRecovery({ open, cluster, launcher, state, logger });
      await recovery.assertNoMajority();
      return await recovery.run();
    } finally {
      await cluster.stop();
      await open.close();
    }
  }

  async stop(): Promise<void> {
    await this.open.runner.close();
    await this.cluster.stop();
    await this.open.close();
  }

  async destroy(): Promise<void> {
    await this.stop();
    rmSync(this.root, { recursive: true, force: true });
  }

  async enable(): Promise<void> {
    await this.cluster.enable(ctx, this, (tx) => tx.sql.run('UPDATE nodes SET name = ?, address = ? WHERE id = 1', this.name, this.address));
  }

  /** As the daemon does: a row by the member that serves, then the copy and the log. */
  async join(through: LogMember): Promise<void> {
    const id = await through.open.runner.run(ctx, (tx) => {
      const next = tx.nextId('nodes');
      tx.sql.run("INSERT INTO nodes (id, name, address, architecture, version) VALUES (?, ?, ?, 'x86_64', ?)", next, this.name, this.address, JSON.stringify({ level: this.open.replica.knownLevel }));
      return next;
    });
    await this.cluster.join(ctx, id, await through.cluster.admission(id), () => through.cluster.snapshot());
  }

  /** Adds this member's etcd to those that vote, by hand. */
  async becomeVoter(through: LogMember): Promise<void> {
    const { client, settings } = this.cluster.connection!;
    const owner = { id: this.local.id, name: this.name, address: this.address };
    const ports = await this.cluster.voter.choosePorts(owner);
    const peer = `https://${this.address.split(':')[0]}:${ports.peerPort}`;
    // etcd takes the next one only when the last has been connected for some seconds.
    const { member, members } = await retried(() => client.addMember([peer], true));
    const initialCluster = Object.fromEntries(members.map(({ ID, name, peerURLs }: EtcdMember) => [ID === member.ID ? `member-${owner.id}` : name, peerURLs[0]!]));
    await this.cluster.voter.join(settings.incarnation, owner, ports, initialCluster);
    await retried(() => client.promoteMember(member.ID));
    await through.open.runner.run(ctx, (tx) => tx.sql.run("UPDATE nodes SET voter = 'voter', raft = ? WHERE id = ?", JSON.stringify({ ...ports, id: member.ID }), owner.id));
  }

  run<T>(fn: (tx: Tx) => T): Promise<T> {
    return this.open.runner.run(ctx, fn);
  }

  /** Everything replicated, as text. */
  async dump(): Promise<string> {
    await this.open.database.barrier(ctx);
    return this.open.console.dump('global', false).text;
  }

  get etcdData(): string {
    return join(this.root, 'database/etcd');
  }
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
