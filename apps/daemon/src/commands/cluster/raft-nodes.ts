import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StateDirectory } from '#kernel';

/** A member as this one last knew it, from its own database: read with or without a daemon. */
export interface RaftNode {
  readonly id: number;
  readonly name: string;
  readonly address: string;
  readonly role: 'voter' | 'stand-by' | 'spare';
}

const roles = ['voter', 'stand-by', 'spare'] as const;

/** Empty on a server that stands alone. */
export function readRaftNodes(root: string): RaftNode[] {
  const file = `${new StateDirectory(root).database}/local.db`;
  if (!existsSync(file)) return [];
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const rows = database.prepare('SELECT id, name, address, role FROM raft_nodes ORDER BY role, id').all() as unknown as (Omit<RaftNode, 'role'> & { role: number })[];
    return rows.map((row) => ({ ...row, role: roles[row.role] ?? 'spare' }));
  } finally {
    database.close();
  }
}

/** How far this member's copy of the global database has come; 0 without one. */
export function readLogIndex(root: string): number {
  const file = `${new StateDirectory(root).database}/global/db.bin`;
  if (!existsSync(file)) return 0;
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return (database.prepare('SELECT applied FROM local_state').get() as { applied: number } | undefined)?.applied ?? 0;
  } finally {
    database.close();
  }
}
