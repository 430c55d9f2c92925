import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { openTemporaryDatabase } from '#platform/database';
import { OperationRecords } from './operation-records.js';

describe('OperationRecords', () => {
  let db: Awaited<ReturnType<typeof openTemporaryDatabase>>;
  beforeAll(async () => {
    db = await openTemporaryDatabase();
    await db.runner.run(internalContext(), (tx) => {
      tx.sql.run("INSERT INTO projects (id, name) VALUES (2, 'web')");
      const add = (id: string, project: number, resources: object, more: { status?: string; class?: string; at?: string } = {}): void => void tx.sql.run(
        `INSERT INTO operations (id, node_id, project_id, kind, version, class, description, status, epoch, created_at, updated_at, requestor, resources, metadata, error)
         VALUES (?, 1, ?, 'instance.start', 0, ?, 'Starting instance', ?, 0, ?, ?, '{"username":"joe","protocol":"unix","address":""}', ?, '{"a":1}', '')`,
        id, project, more.class ?? 'task', more.status ?? 'Success', more.at ?? '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', JSON.stringify(resources));
      add('second', 1, { instances: ['/1.0/instances/c1'] }, { at: '2026-01-02T00:00:00Z' });
      add('first', 1, { containers: ['/1.0/containers/c1'], instances: ['/1.0/instances/c0', '/1.0/instances/c1'] }, { status: 'Failure' });
      add('longer name', 1, { instances: ['/1.0/instances/c11'] });
      add('under way', 1, { instances: ['/1.0/instances/c1'] }, { status: 'Running' });
      add('session', 1, { instances: ['/1.0/instances/c1'] }, { class: 'websocket' });
      add('theirs', 2, { instances: ['/1.0/instances/c1?project=web'] });
    });
  });
  afterAll(() => db.close());

  it('are what was done to one object of one project, in order, with who and how it ended', () => {
    const records = new OperationRecords(db.database);

    expect(records.of('default', '/1.0/instances/c1').map(({ id }) => id)).toEqual(['first', 'second']);
    expect(records.of('web', '/1.0/instances/c1?project=web').map(({ id }) => id)).toEqual(['theirs']);
    expect(records.of('default', '/1.0/instances/c')).toEqual([]);
    expect(records.of('default', '/1.0/instances/c1')[0]).toMatchObject({ status: 'Failure', description: 'Starting instance', requestor: { username: 'joe' }, metadata: { a: 1 }, location: 'none' });
  });
});
