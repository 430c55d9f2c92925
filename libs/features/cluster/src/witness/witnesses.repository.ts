import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import { Database, type Sql, type Tx } from '#platform/database';
import type { VoterAddress } from '#platform/raft';

export interface WitnessRow {
  readonly id: number;
  readonly name: string;
  /** `host:port` its etcd's peers dial. */
  readonly address: string;
  readonly voter: '' | 'learner' | 'voter';
}

/** Schema level that brought the table: members of an older cluster have none. */
const sinceLevel = 8;

const select = 'SELECT id, name, address, voter FROM witnesses';

/** Rows of `witnesses`. */
@Injectable()
export class WitnessesRepository {
  constructor(private readonly database: Database) {}

  /** By name. */
  list(sql: Sql): WitnessRow[] {
    return this.database.head.level < sinceLevel ? [] : sql.all<WitnessRow>(`${select} ORDER BY name`);
  }

  find(sql: Sql, name: string): WitnessRow | undefined {
    return this.list(sql).find((row) => row.name === name);
  }

  /** Numbers are those of members, of which none is used twice: presence and voters are told by them. */
  insert(tx: Tx, { name, address, raft }: Pick<WitnessRow, 'name' | 'address'> & { readonly raft: VoterAddress }): number {
    this.assertKnown();
    const id = tx.nextId('nodes');
    tx.sql.run('INSERT INTO witnesses (id, name, address, raft) VALUES (?, ?, ?, ?)', id, name, address, JSON.stringify(raft));
    return id;
  }

  remove(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM witnesses WHERE id = ?', id);
  }

  /** @throws `unavailable` while a member of an earlier version keeps the cluster at its level. */
  assertKnown(): void {
    if (this.database.head.level < sinceLevel) throw unavailable('A member of this cluster does not know of witnesses yet: upgrade it first');
  }
}
