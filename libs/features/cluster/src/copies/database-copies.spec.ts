import { afterAll, beforeAll, expect, it } from 'vitest';
import { internalContext, notFound } from '#kernel';
import { Database, TransactionRunner } from '#platform/database';
import { SingleMember } from '../testing/single-member.js';
import { DatabaseCopies } from './database-copies.service.js';

let one: SingleMember;
beforeAll(async () => {
  one = await SingleMember.start();
  await one.enable();
  await one.get(TransactionRunner).run(internalContext(), (tx) => tx.sql.run("INSERT INTO nodes (id, name, address, architecture) VALUES (2, 'm2', '127.0.0.2:1', 'x86_64')"));
  one.liveness.online.add(2);
});
afterAll(() => one.close());

it('tells of two copies that differ also where nobody says what the log makes of them', async () => {
  const other = one.network.add({ id: 2, name: 'm2', address: '127.0.0.2:1' });
  const database = one.get(Database);
  other.handle('database.sum', async () => {
    const sums = await database.sum();
    return { ...sums, tables: { ...sums.tables, profiles: 'another' } };
  });
  other.handle('database.contradictions', () => Promise.reject(notFound('No such call')));

  const report = await one.get(DatabaseCopies).compare(internalContext());

  expect(report?.diverged).toEqual([{ member: 'm2', tables: ['profiles'], replaced: false }]);
  expect(database.read.all('SELECT last_message FROM warnings')).toEqual([{ last_message: expect.stringContaining('neither was replaced') }]);
});
