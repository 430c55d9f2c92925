import { cp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, internalContext, invalid, LocalMember, messageOf, precondition, randomHex, SilentLogger, type Logger, type StateDirectory } from '#kernel';
import { EtcdClient, EtcdLog, QuorumMonitor, salvage, voterName, type EtcdLauncher } from '#platform/raft';
import type { OpenDatabase } from '../open-database.js';
import { readSettings, type ClusterSettings } from './cluster-settings.js';
import type { EtcdClusterLog } from './etcd-cluster-log.js';
import { keepSafetyCopy } from './safety-copy.js';
import { memberRow, memberRows, voterEndpoints, witnessRows, type MemberRow } from './member-rows.js';

export interface QuorumRecoveryParts {
  readonly open: OpenDatabase;
  /** Not started: no voter of the old history may run. */
  readonly cluster: EtcdClusterLog;
  readonly launcher: EtcdLauncher;
  readonly state: StateDirectory;
  readonly logger: Logger;
}

export interface RecoveryReport {
  /** Of the last entry this member has. */
  readonly index: number;
  /** Entries that were in the voter's data and not in the tables yet. */
  readonly salvaged: number;
  /** Where the former database, voter's data and certificates were put. */
  readonly backup: string;
  /** Members of the former history that have to join anew. */
  readonly leftOut: readonly MemberRow[];
  /** Names of witnesses, which are none any more: they hold nothing of the new history, and no certificate for it. */
  readonly witnesses: readonly string[];
}

const majorityMs = 3000;

/**
 * Makes a cluster of one out of a survivor whose majority is gone for good (hazards A3, A4): what its tables and its voter's data hold, in a history of
 * its own, with a fresh voter and a new authority. The others are left out: they are no longer trusted, and begin anew by joining. Safe to repeat.
 */
export class QuorumRecovery {
  private readonly settings: ClusterSettings;

  constructor(private readonly parts: QuorumRecoveryParts) {
    const saved = parts.open.replica.settings;
    if (saved === null) throw invalid('This server is not clustered');
    this.settings = readSettings(saved);
  }

  /** How far this member has come, before anything is done. */
  get index(): number {
    return this.parts.open.database.head.index;
  }

  get self(): MemberRow {
    const row = memberRow(this.parts.open.database.read, this.settings.memberId);
    if (!row) throw precondition('This member is not in its own list of members');
    return row;
  }

  /** @throws `precondition` when the cluster can still decide. */
  async assertNoMajority(): Promise<void> {
    const { open, cluster } = this.parts;
    const { memberId, incarnation, clusterId } = this.settings;
    const others = voterEndpoints(open.database, 0, memberId);
    if (others.length === 0) return;
    const client = new EtcdClient({ endpoints: others, clusterId, credentials: await cluster.pki.clientCredentials(voterName(memberId)) });
    try {
      await client.range({ key: Buffer.from(`${incarnation}/head`) }, { timeoutMs: majorityMs });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) return;
      throw error;
    } finally {
      client.close();
    }
    throw precondition('A majority of the database members answers: the cluster needs no recovery, start this member instead');
  }

  /** `address`: where this member is from now on, when its address has changed as well. */
  async run(address: string = this.self.address): Promise<RecoveryReport> {
    const { open, cluster, state } = this.parts;
    const { self } = this;
    const salvaged = await this.takeFromVoter();
    const backup = await keepSafetyCopy({ open, state, pki: cluster.pki }, 'before-recovery');
    const leftOut = memberRows(open.database.read).filter(({ id }) => id !== self.id);
    const witnesses = witnessRows(open.database).map(({ name }) => name);
    const former = this.settings.incarnation;
    try {
      await cluster.begin({ ...self, address }, (tx) => {
        tx.sql.run('UPDATE nodes SET address = ? WHERE id = ?', address, self.id);
        // One that an earlier recovery left out is still in the history of that time.
        tx.sql.run("UPDATE nodes SET voter = '', certificate = '', raft = json_object('leftOut', coalesce(raft ->> 'leftOut', ?)) WHERE id <> ?", former, self.id);
        if (witnesses.length > 0) tx.sql.run('DELETE FROM witnesses');
      });
    } catch (error) {
      await cp(join(backup, 'etcd-pki'), cluster.pki.directory, { recursive: true, force: true });
      await rename(join(backup, 'etcd'), join(state.database, 'etcd')).catch(() => undefined);
      throw error;
    }
    return { index: open.database.head.index, salvaged, backup, leftOut, witnesses };
  }

  /** Entries that this member's voter has and its tables have not. */
  private async takeFromVoter(): Promise<number> {
    const { open, cluster, launcher, state, logger } = this.parts;
    const { incarnation, memberId } = this.settings;
    if (!cluster.voter.hasData(incarnation)) return 0;
    const before = open.database.head.index;
    try {
      await salvage({ launcher, pki: cluster.pki, incarnation, memberId, dataDirectory: cluster.voter.dataDirectory(incarnation), workDirectory: join(state.database, `salvage-${randomHex(6)}`) }, async (client) => {
        const member = Object.assign(new LocalMember(), { id: memberId });
        await open.replica.follow(new EtcdLog({ client, incarnation, member, quorum: new QuorumMonitor(new SilentLogger()), logger }));
        await open.database.barrier(internalContext());
      });
    } catch (error) {
      logger.warn('Nothing could be taken from the data of this member\'s voter', { error: messageOf(error) });
    }
    return open.database.head.index - before;
  }
}
