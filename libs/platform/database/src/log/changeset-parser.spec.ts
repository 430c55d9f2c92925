import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChangesetParser } from './changeset-parser.js';

describe('ChangesetParser.parse', () => {
  let db: DatabaseSync;
  beforeEach(() => {
    db = new DatabaseSync(':memory:');
    db.exec(`CREATE TABLE values_of_all_kinds (id INTEGER NOT NULL PRIMARY KEY, i INTEGER, f REAL, t TEXT, b BLOB);
      CREATE TABLE pairs (note TEXT, second TEXT NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (first, second))`);
  });
  afterEach(() => db.close());

  const record = (work: () => void): Uint8Array => {
    const session = db.createSession();
    work();
    const changeset = session.changeset();
    session.close();
    return changeset;
  };

  it('reads every type of value', () => {
    const row = [1, -2, 2.5, 'ünï', new Uint8Array([0, 255])];
    const insert = db.prepare('INSERT INTO values_of_all_kinds VALUES (?, ?, ?, ?, ?)');
    const changeset = record(() => {
      insert.run(...(row as [number, number, number, string, Uint8Array]));
      insert.run(2, 2n ** 62n, null, 'x'.repeat(70_000), null);
    });

    const changes = new ChangesetParser(changeset).parse().sort((a, b) => Number(a.key[0]) - Number(b.key[0]));
    expect(changes).toEqual([
      { table: 'values_of_all_kinds', op: 'insert', key: [1], before: null, after: row },
      { table: 'values_of_all_kinds', op: 'insert', key: [2], before: null, after: [2, 2n ** 62n, null, 'x'.repeat(70_000), null] },
    ]);
  });

  it('gives keys of several columns in the order of the key', () => {
    db.exec("INSERT INTO pairs VALUES ('old', 'b', 1), ('gone', 'c', 2)");
    const changeset = record(() => db.exec("UPDATE pairs SET note = 'new' WHERE first = 1; DELETE FROM pairs WHERE first = 2"));

    const changes = new ChangesetParser(changeset).parse().sort((a, b) => a.op.localeCompare(b.op));
    expect(changes).toEqual([
      { table: 'pairs', op: 'delete', key: [2, 'c'], before: ['gone', 'c', 2], after: null },
      { table: 'pairs', op: 'update', key: [1, 'b'], before: ['old', 'b', 1], after: ['new', undefined, undefined] },
    ]);
  });

  it('walks over tables nobody asked for', () => {
    const changeset = record(() => db.exec("INSERT INTO values_of_all_kinds VALUES (1, 2, 2.5, 'x', x'00'); INSERT INTO pairs VALUES (NULL, 'a', 1)"));

    expect(new ChangesetParser(changeset).parse((table) => table === 'pairs')).toEqual([{ table: 'pairs', op: 'insert', key: [1, 'a'], before: null, after: [null, 'a', 1] }]);
  });
});
