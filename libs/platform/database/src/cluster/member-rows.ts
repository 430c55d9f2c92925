import { clientEndpoint, type VoterAddress } from '#platform/raft';
import type { Database } from '../database.js';
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

/** Schema level that brought `witnesses`: a cluster at an older one has none. */
const witnessLevel = 8;

/** Rows of `witnesses`, in order of their numbers. */
export function witnessRows({ read, head }: Pick<Database, 'read' | 'head'>): Omit<MemberRow, 'level'>[] {
  if (head.level < witnessLevel) return [];
  return read.all<Omit<RawRow, 'version'>>('SELECT id, name, address, voter, raft FROM witnesses ORDER BY id').map(({ raft, ...row }) => ({ ...row, ports: voterAddress(raft) }));
}

/** Where voters answer, witnesses included: this member's own first, those of `except` not at all. */
export function voterEndpoints(database: Pick<Database, 'read' | 'head'>, selfId: number, except = 0): string[] {
  return [...memberRows(database.read), ...witnessRows(database)]
    .filter(({ id }) => id !== except)
    .filter(({ voter, ports }) => voter === 'voter' && ports !== null)
    .toSorted((a, b) => Number(b.id === selfId) - Number(a.id === selfId))
    .map(({ address, ports }) => clientEndpoint(address, ports!));
}
