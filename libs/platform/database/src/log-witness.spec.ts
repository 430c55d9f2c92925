import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { internalContext } from '#kernel';
import type { OpenDatabase, Tx } from './index.js';
import { openSharedDatabases } from './testing/index.js';

it('tells which copy holds what nobody has written, in rows that the log knows of', async () => {
  await using shared = await openSharedDatabases(2);
  const [a, b] = shared.members.map(({ db }) => db) as [OpenDatabase, OpenDatabase];
  const write = (fn: (tx: Tx) => void): Promise<void> => a.runner.run(internalContext(), fn);
  await write((tx) => void tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1'), ('b', '2'), ('gone', '3')"));
  await write((tx) => void tx.sql.run("UPDATE config SET value = '4' WHERE key = 'a'"));
  await write((tx) => void tx.sql.run("DELETE FROM config WHERE key = 'gone'"));
  await write((tx) => void tx.sql.run("INSERT INTO profiles (id, project_id, name, config) VALUES (7, 1, 'p', '{}')"));
  await write((tx) => void tx.sql.run("UPDATE profiles SET description = 'x' WHERE id = 7"));
  await shared.settle();
  const behindItsBack = (sql: string): void => {
    const file = new DatabaseSync(b.database.file);
    file.exec(sql);
    file.close();
  };

  expect([await a.database.contradictions(), await b.database.contradictions()]).toEqual([[], []]);
  for (const [sql, tables, back] of [
    ["UPDATE config SET value = '1' WHERE key = 'a'", ['config'], "UPDATE config SET value = '4' WHERE key = 'a'"],
    ["INSERT INTO config (key, value) VALUES ('gone', '3')", ['config'], "DELETE FROM config WHERE key = 'gone'"],
    ["UPDATE profiles SET config = '{\"a\":1}' WHERE id = 7", ['profiles'], "UPDATE profiles SET config = '{}' WHERE id = 7"],
    ["DELETE FROM profiles WHERE id = 7", ['profiles'], ''],
  ] as const) {
    behindItsBack(sql);
    expect(await b.database.contradictions()).toEqual(tables);
    if (back !== '') behindItsBack(back);
  }
  expect(await a.database.contradictions()).toEqual([]);
});
