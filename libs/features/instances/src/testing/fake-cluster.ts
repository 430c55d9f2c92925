import { internalContext } from '#kernel';
import { FakePeerNetwork } from '#ports/testing';
import { PoolsService } from '#features/storage';
import { OpenDatabase, openTemporaryDatabase } from '#platform/database';
import { MemoryLog } from '#platform/database/testing';
import { FakeHost, FakeMember } from './fake-member.js';

/** Several whole members in one process, `m1` first: one log in memory, a fake host each, a pool `default` on all. */
export class FakeCluster {
  readonly network = new FakePeerNetwork();

  private constructor(
    readonly members: FakeMember[],
    readonly log: MemoryLog,
  ) {}

  static async start(count = 3): Promise<FakeCluster> {
    const seed = await openTemporaryDatabase();
    const log = new MemoryLog(seed.database.head.incarnation);
    log.entries.push(...(await seed.database.entries(1)));
    await seed.close();
    const members: FakeMember[] = [];
    const cluster = new FakeCluster(members, log);
    for (let id = 1; id <= count; id++) members.push(await cluster.startMember(id, count));
    await cluster.sync();
    return cluster;
  }

  /** By number, from 1. */
  member(id: number): FakeMember {
    return this.members[id - 1]!;
  }

  /** As after `kill -9`; `meanwhile` happens to the host and the others. Its `startUp` is the caller's. */
  async restart(id: number, meanwhile: () => Promise<void> | void = () => {}): Promise<FakeMember> {
    const { host } = this.member(id);
    await this.member(id).stop();
    await meanwhile();
    const { log, network } = this;
    return (this.members[id - 1] = await FakeMember.start(host, {
      startUp: false, network, database: { incarnation: log.incarnation, log: () => log }, prepare: (started) => started.get(PoolsService).mountAll(),
    }));
  }

  /** Everybody has read all that was written. */
  async sync(): Promise<void> {
    await Promise.all(this.members.map((member) => member.database.barrier(internalContext())));
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.close();
  }

  private async startMember(id: number, count: number): Promise<FakeMember> {
    const host = new FakeHost();
    Object.assign(host.member, { id, name: `m${id}`, clustered: true });
    const { log, network } = this;
    const database = { incarnation: log.incarnation, log: () => log };
    // The program expects the tables to be there.
    const fetched = await OpenDatabase.open({ directory: host.state.database, synchronous: 'OFF', ballast: { bytes: 0 }, ...database });
    await fetched.database.barrier(internalContext());
    await fetched.close();
    const member = await FakeMember.start(host, {
      startUp: false, network, database,
      prepare: async (started) => {
        if (id === 1) return this.writeMembers(started, count);
        await host.storage.createPool({ name: 'default', driver: 'btrfs', config: {} });
      },
    });
    await member.startUp();
    return member;
  }

  private async writeMembers(first: FakeMember, count: number): Promise<void> {
    await first.transactions.run(first.ctx(), (tx) => {
      tx.sql.run("UPDATE nodes SET name = 'm1', address = '127.0.0.1:8443', architecture = 'x86_64' WHERE id = 1");
    });
    await first.preparePool();
    await first.transactions.run(first.ctx(), (tx) => {
      for (let id = 2; id <= count; id++) {
        tx.sql.run("INSERT INTO nodes (id, name, address, architecture) VALUES (?, ?, ?, 'x86_64')", id, `m${id}`, `127.0.0.${id}:8443`);
        tx.sql.run('INSERT INTO nodes_cluster_groups (node_id, group_id) VALUES (?, 1)', id);
        tx.sql.run('INSERT INTO storage_pools_nodes (storage_pool_id, node_id, state, config) SELECT storage_pool_id, ?, state, config FROM storage_pools_nodes WHERE node_id = 1', id);
      }
    });
  }
}
