import { clientEndpoint, type VoterAddress } from '#platform/raft';
import type { Sql } from '../sql.js';

/** What the log needs to know of a member; from `nodes`. */
export interface MemberRow {
  readonly id: number;
  readonly name: string;
  readonly address: string;
  /** `''`, `learner`, `voter` or `standby`. */
  readonly voter: string;
  /** Null before it ever had an etcd. */
  readonly ports: VoterAddress | null;
  /** Schema level it announced; 0 before it did. */
  readonly level: number;
}

interface RawRow { id: number; name: string; address: string; voter: string; raft: string; version: string }

const select = 'SELECT id, name, address, voter, raft, version FROM nodes';

/** Of `nodes.raft`: where a member's etcd listens, and its id. */
export function voterAddress(raft: string): VoterAddress | null {
  const { peerPort, clientPort, id } = JSON.parse(raft) as Partial<VoterAddress>;
  return peerPort && clientPort ? { peerPort, clientPort, id: id ?? '' } : null;
}

function fromRaw({ raft, version, ...row }: RawRow): MemberRow {
  const { level } = JSON.parse(version) as { level?: number };
  return { ...row, ports: voterAddress(raft), level: level ?? 0 };
}

export function memberRows(sql: Sql): MemberRow[] {
  return sql.all<RawRow>(`${select} ORDER BY id`).map(fromRaw);
}

export function memberRow(sql: Sql, id: number): MemberRow | undefined {
  const raw = sql.get<RawRow>(`${select} WHERE id = ?`, id);
  return raw && fromRaw(raw);
}

/** Where voters answer, this member's own first. */
export function voterEndpoints(rows: readonly MemberRow[], selfId: number): string[] {
  return rows
    .filter(({ voter, ports }) => voter === 'voter' && ports !== null)
    .sort((a, b) => Number(b.id === selfId) - Number(a.id === selfId))
    .map(({ address, ports }) => clientEndpoint(address, ports!));
}
