import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { openSharedDatabases } from './testing/index.js';
import { internalContext } from '#kernel';

it('are equal where the rows are, whatever belongs to one member alone, and name the table that differs', async () => {
  await using shared = await openSharedDatabases(2);
  const [a, b] = shared.members.map(({ db }) => db) as [(typeof shared.members)[0]['db'], (typeof shared.members)[0]['db']];
  await a.runner.run(internalContext(), (tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('a', '1'), ('b', '2')"));
  await shared.settle();
  const [first, second] = [await a.database.sum(), await b.database.sum()];

  expect(first).toEqual(second);
  expect(first).toMatchObject({ incarnation: shared.log.incarnation, index: a.database.head.index });
  expect(Object.keys(first.tables)).toEqual(a.database.tables);

  const file = new DatabaseSync(b.database.file);
  file.exec("UPDATE config SET value = '3' WHERE key = 'b'");
  file.close();
  const after = await b.database.sum();

  expect(Object.keys(after.tables).filter((table) => after.tables[table] !== first.tables[table])).toEqual(['config']);
});
