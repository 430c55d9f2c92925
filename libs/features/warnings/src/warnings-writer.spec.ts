import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { internalContext, LocalMember } from '#kernel';
import { openTemporaryDatabase } from '#platform/database';
import { WarningRepository } from './warning.repository.js';
import { WarningsWriter } from './warnings-writer.js';

const ctx = internalContext();
let db: Awaited<ReturnType<typeof openTemporaryDatabase>>;
let writer: WarningsWriter;
let repository: WarningRepository;

beforeAll(async () => {
  db = await openTemporaryDatabase();
  writer = new WarningsWriter(db.database, db.runner, new LocalMember());
  repository = new WarningRepository(db.database);
});

afterAll(() => db.close());

describe('WarningsWriter', () => {
  it('counts what is seen again, resolves it, and starts over', async () => {
    const about = { type: 'Offline cluster member', entity: { type: 'node', id: 7 } } as const;
    await writer.raise(ctx, { ...about, message: 'first' });
    await writer.raise(ctx, { ...about, message: 'second' });
    await writer.raise(ctx, { ...about, message: 'too soon', repeatMs: 60_000 });
    await writer.raise(ctx, { ...about, entity: { type: 'node', id: 8 }, message: 'another' });

    const rows = repository.list(null).filter(({ last_message }) => last_message !== 'another');
    expect(rows).toMatchObject([{ location: 'none', type_code: 21, status: 1, count: 2, last_message: 'second' }]);

    await writer.resolve(ctx, about);
    expect(repository.find(rows[0]!.uuid)).toMatchObject({ status: 3 });
    const { head } = db.database;
    await writer.resolve(ctx, about);
    expect(db.database.head).toEqual(head);

    await writer.raise(ctx, { ...about, message: 'third', repeatMs: 60_000 });
    expect(repository.find(rows[0]!.uuid)).toMatchObject({ status: 1, count: 3, last_message: 'third' });
  });
});
