import { internalContext } from '#kernel';
import { VoterRoster, type RosterChange, type RosterMember, type VoterPart, type VoterSettings } from '#platform/raft';
import type { OpenDatabase } from '../open-database.js';
import { voterAddress, witnessRows } from './member-rows.js';

interface Row { id: number; name: string; address: string; failure_domain: string; state: string; voter: string; raft: string }

/** What `config` holds nothing of is as LXD has it by default. */
const defaults: Readonly<Record<string, number>> = { 'cluster.max_voters': 3, 'cluster.max_standby': 2, 'cluster.offline_threshold': 20 };

/** The voters in the rows of `nodes` and `witnesses`, and the settings that decide about them. */
export class SqlVoterRoster extends VoterRoster {
  constructor(private readonly open: OpenDatabase) {
    super();
  }

  override members(): readonly RosterMember[] {
    const { database } = this.open;
    const members = database.read.all<Row>('SELECT id, name, address, failure_domain, state, voter, raft FROM nodes ORDER BY id').map((row) => ({
      id: row.id, name: row.name, witness: false, address: row.address, failureDomain: row.failure_domain, created: row.state !== 'pending', evacuated: row.state === 'evacuated',
      part: row.voter as VoterPart, raft: voterAddress(row.raft),
    }));
    const witnesses = witnessRows(database).map(({ ports, voter, ...row }) => ({ ...row, witness: true, failureDomain: '', created: true, evacuated: false, part: voter as VoterPart, raft: ports }));
    return [...members, ...witnesses];
  }

  override settings(): VoterSettings {
    const rows = this.open.database.read.all<{ key: string; value: string }>("SELECT key, value FROM config WHERE key LIKE 'cluster.%'");
    const value = (key: string): number => Number(rows.find((row) => row.key === key)?.value || defaults[key]);
    return { maxVoters: value('cluster.max_voters'), maxStandby: value('cluster.max_standby'), offlineThresholdMs: value('cluster.offline_threshold') * 1000 };
  }

  override async upToDate(): Promise<void> {
    await this.open.database.assertFresh(internalContext());
  }

  override async record(changes: readonly RosterChange[]): Promise<void> {
    const { runner, database } = this.open;
    await runner.run(internalContext(), (tx) => {
      const witnesses = new Set(witnessRows(database).map(({ id }) => id));
      for (const { memberId, part, raft } of changes) {
        tx.sql.run(`UPDATE ${witnesses.has(memberId) ? 'witnesses' : 'nodes'} SET voter = ?, raft = ? WHERE id = ?`, part, JSON.stringify(raft ?? {}), memberId);
      }
    });
  }

  override onChange(listener: () => void): () => void {
    const { feed } = this.open;
    const ends = [feed.subscribe(['nodes', 'witnesses', 'config'], listener), feed.onReset(listener)];
    return () => { for (const end of ends) end(); };
  }
}
