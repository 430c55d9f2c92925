import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { internalContext, type RequestContext } from '#kernel';
import { openTemporaryDatabase } from '#platform/database';
import { defineOperation } from './operation-definition.js';
import { nothingToUndo, Step, type StepContext } from './step.js';
import { DetachedOperations } from './testing/index.js';

interface Params {
  readonly name: string;
}

class HookStep extends Step<Params, void> {
  onRun: (context: StepContext) => Promise<void> | void = () => {};
  onUndo: () => Promise<void> | void = () => {};

  constructor(readonly name: string) {
    super();
  }

  override async run(context: StepContext): Promise<void> {
    await this.onRun(context);
  }

  override async undo(): Promise<void> {
    await this.onUndo();
    return nothingToUndo('the test decides');
  }
}

const ctx: RequestContext = { ...internalContext(), requestor: { username: 'joe', protocol: 'unix', address: '@' } };
const kind = 'instance.start';
const definition = defineOperation<Params>({
  kind, version: 2, description: 'Starting instance', conflictsWith: ({ name }) => `instance:default/${name}`, restart: 'unwind', steps: [HookStep, HookStep],
});

let world: Awaited<ReturnType<typeof openTemporaryDatabase>>;
let operations: DetachedOperations;
let first: HookStep;
let second: HookStep;
const more: DetachedOperations[] = [];

function daemon(options: ConstructorParameters<typeof DetachedOperations>[1] = {}): DetachedOperations {
  const made = new DetachedOperations({ transactions: world.runner, database: world.database, feed: world.feed }, { undoRetryDelaysMs: [1, 1], visibleMs: 50, ...options });
  made.registry.add(definition, [first, second]);
  more.push(made);
  return made;
}

beforeEach(async () => {
  world = await openTemporaryDatabase();
  first = new HookStep('first');
  second = new HookStep('second');
  operations = daemon();
});

afterEach(async () => {
  for (const each of more.splice(0)) await each.die();
  await world.close();
});

const start = (name = 'c1') => operations.service.schedule(ctx, kind, { name }, { resources: { instances: [`/1.0/instances/${name}`] } });
const row = (id: string) => world.database.read.get<Record<string, string>>('SELECT * FROM operations WHERE id = ?', id);

describe('schedule', () => {
  it('answers as LXD does for an operation that has just begun', async () => {
    const operation = (await start()).api();

    expect(operation).toMatchObject({
      class: 'task', description: 'Starting instance', status: 'Running', status_code: 103, resources: { instances: ['/1.0/instances/c1'] }, metadata: null,
      err: '', location: 'none',
    });
    expect(operation.id.slice(24, 28)).toBe('0001');
  });

  it('refuses a second operation on the same thing in the words of LXD, and takes it afterwards', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    first.onRun = () => promise;
    const handle = await start();

    await expect(start()).rejects.toMatchObject({ kind: 'conflict', message: 'Instance is busy running a "start" operation' });
    await expect(operations.service.runInMemory(ctx, { kind: 'instance.stop', class: 'task', description: '', resources: {}, conflictKey: 'instance:default/c1' }))
      .rejects.toThrow('Instance is busy running a "start" operation');

    resolve();
    await handle.wait();
    first.onRun = () => {};
    expect((await (await start()).wait()).status).toBe('Success');
  });

  it('refuses while a row of a former process waits to be recovered', async () => {
    world.runner.run(ctx, (tx) => tx.sql.run(
      `INSERT INTO operations (id, node_id, kind, version, class, description, status, conflict_key, epoch, created_at, updated_at, steps)
       VALUES ('old', 1, ?, 2, 'task', '', 'Running', 'instance:default/c1', 1, '', '', '["first","second"]')`, kind));

    await expect(start()).rejects.toThrow('Instance is busy running a "start" operation');
  });

  it('writes nothing when the reservation is refused', async () => {
    const reserve = (): void => { throw new TypeError('name taken'); };

    await expect(operations.service.schedule(ctx, kind, { name: 'c1' }, { resources: {}, reserve })).rejects.toThrow('name taken');

    expect(world.database.read.all('SELECT id FROM operations')).toEqual([]);
    expect(operations.service.list(null)).toEqual([]);
    expect((await (await start()).wait()).status).toBe('Success');
  });

  it('sends an event for each change of state, progress at a bounded rate', async () => {
    const events: { status: string; metadata: unknown }[] = [];
    operations.events.subscribe({ types: ['operation'], project: null }, (json) => events.push(JSON.parse(json).metadata));
    first.onRun = (context) => { for (let percent = 1; percent <= 100; percent++) context.progress({ percent }); };

    const result = await (await start()).wait();

    expect(events.map((event) => event.status)).toEqual(['Pending', 'Running', 'Success']);
    expect(result.metadata).toEqual({ percent: 100 });
  });

  it('keeps who, what and how it ended, but no parameters', async () => {
    const { id } = await (await start()).wait();

    expect(row(id)).toMatchObject({ status: 'Success', params: '{}', outputs: '{}', conflict_key: null, requestor: JSON.stringify(ctx.requestor) });
  });
});

describe('the runner', () => {
  it('wakes on a row that somebody else committed', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    second.onRun = () => resolve();

    await world.runner.run(ctx, (tx) => tx.sql.run(
      `INSERT INTO operations (id, node_id, project_id, kind, version, class, description, status, created_at, updated_at, requestor, params, steps)
       VALUES ('peer', 1, 1, ?, 2, 'task', 'x', 'Pending', '2026-01-01', '2026-01-01', '{}', '{"name":"c1"}', '["first","second"]')`, kind));
    await promise;

    await vi.waitFor(() => expect(row('peer')?.['status']).toBe('Success'));
  });

  it('leaves rows of other members alone', async () => {
    first.onRun = () => { throw new TypeError('not mine'); };

    await world.runner.run(ctx, (tx) => tx.sql.run(
      `INSERT INTO operations (id, node_id, kind, version, class, description, status, created_at, updated_at, steps)
       VALUES ('other', 2, ?, 2, 'task', 'x', 'Pending', '', '', '["first","second"]')`, kind));
    await operations.service.recover();

    expect(row('other')).toMatchObject({ status: 'Pending', epoch: 0 });
  });

  it('parks a kind, a version or a list of steps it does not know, and says so', async () => {
    await world.runner.run(ctx, (tx) => {
      for (const [id, name, version, steps] of [['a', 'moon.land', 1, '["first","second"]'], ['b', kind, 3, '["first","second"]'], ['c', kind, 2, '["first"]']] as const) {
        tx.sql.run(
          `INSERT INTO operations (id, node_id, kind, version, class, description, status, epoch, created_at, updated_at, steps)
           VALUES (?, 1, ?, ?, 'task', '', 'Running', 1, '', '', ?)`, id, name, version, steps);
      }
    });

    await operations.service.recover();
    await operations.service.recover();

    expect(['a', 'b', 'c'].map((id) => row(id)?.['status'])).toEqual(['Running', 'Running', 'Running']);
    const warnings = world.database.read.all<{ last_message: string }>('SELECT last_message FROM warnings ORDER BY last_message');
    expect(warnings.map((w) => w.last_message)).toEqual(expect.arrayContaining(['Operation a of unknown kind "moon.land" version 1 is parked']));
    expect(warnings).toHaveLength(3);
  });

  it('tries an undo again, then leaves a warning and goes on undoing', async () => {
    let undone = 0;
    let tries = 0;
    first.onUndo = () => { undone++; };
    second.onRun = () => { throw new TypeError('no space'); };
    second.onUndo = () => { tries++; throw new TypeError('device busy'); };

    const result = await (await start()).wait();

    expect(result).toMatchObject({ status: 'Failure', err: 'no space' });
    expect({ undone, tries }).toEqual({ undone: 1, tries: 3 });
    expect(world.database.read.get<{ m: string }>('SELECT last_message AS m FROM warnings')?.m).toContain('failed to undo step "second": device busy');
  });

  it('stops without a trace when a successor has claimed the row', async () => {
    const { promise: hold, resolve: release } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    first.onRun = async () => { reach(); await hold; };
    const { id } = await start();
    await reached;

    await world.runner.run(ctx, (tx) => tx.sql.run('UPDATE operations SET epoch = 2 WHERE id = ?', id));
    release();
    await new Promise((resolve) => setTimeout(resolve, 30));

    expect(row(id)).toMatchObject({ status: 'Running', epoch: 2, outputs: '{}' });
  });

  it('ends with the last transaction where its last step asks for that, and stays ended', async () => {
    let undone = 0;
    first.onRun = (context) => world.runner.run(ctx, (tx) => context.finish(tx)).then(() => undefined);
    first.onUndo = () => { undone++; };
    second.onRun = async (context) => {
      await world.runner.run(ctx, (tx) => {
        tx.sql.run(`UPDATE projects SET description = 'with it' WHERE id = 1`);
        context.finish(tx);
      });
      expect(row(context.operationId)).toMatchObject({ status: 'Success', params: '{}' });
      throw new TypeError('too late');
    };

    const handle = await start();

    expect(await handle.wait()).toMatchObject({ status: 'Success', err: '' });
    expect(row(handle.id)).toMatchObject({ status: 'Success' });
    expect(world.database.read.get('SELECT description FROM projects WHERE id = 1')).toEqual({ description: 'with it' });
    expect(undone).toBe(0);
  });

  it('does nothing of that last transaction when a cancel came first', async () => {
    second.onRun = async (context) => {
      await operations.service.cancel(ctx, context.operationId);
      await world.runner.run(ctx, (tx) => {
        tx.sql.run(`UPDATE projects SET description = 'with it' WHERE id = 1`);
        context.finish(tx);
      });
    };

    expect((await (await start()).wait()).status).toBe('Cancelled');
    expect(world.database.read.get('SELECT description FROM projects WHERE id = 1')).not.toEqual({ description: 'with it' });
  });

  it('aborts when a cancel arrives as a row, as from another member', async () => {
    first.onRun = (context) => new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(new TypeError('aborted'))));
    const handle = await start();
    await new Promise((resolve) => setTimeout(resolve, 5));

    await world.runner.run(ctx, (tx) => tx.sql.run('UPDATE operations SET cancel_requested = 1 WHERE id = ?', handle.id));

    expect((await handle.wait(2000)).status).toBe('Cancelled');
  });
});

describe('in-memory operations', () => {
  const task = { kind: 'instance.exec', class: 'task', description: 'Executing command', resources: {} } as const;

  it('ends with what its work returned, and touches no row until the history is written', async () => {
    const handle = await operations.service.runInMemory(ctx, { ...task, run: async ({ update }) => { update({ a: 1 }); return { return: 0 }; } });

    expect(await handle.wait()).toMatchObject({ status: 'Success', status_code: 200, metadata: { a: 1, return: 0 }, may_cancel: false });
    expect(row(handle.id)).toBeUndefined();
    await operations.history.flush();
    expect(row(handle.id)).toMatchObject({ status: 'Success', kind: 'instance.exec', class: 'task' });
  });

  it('fails with the message of what its work threw', async () => {
    const handle = await operations.service.runInMemory(ctx, { ...task, run: () => Promise.reject(new TypeError('Command not found')) });

    expect(await handle.wait()).toMatchObject({ status: 'Failure', err: 'Command not found' });
  });

  it('is visible for a while after its end, then gone', async () => {
    const handle = await operations.service.runInMemory(ctx, { ...task, run: async () => {} });
    await handle.done;

    expect(operations.service.get(handle.id).id).toBe(handle.id);
    await vi.waitFor(() => expect(() => operations.service.get(handle.id)).toThrow('Operation not found'), { interval: 10 });
  });

  it('waits no longer than asked', async () => {
    const handle = await operations.service.runInMemory(ctx, { ...task, class: 'token' });

    expect((await handle.wait(0)).status).toBe('Running');
    expect((await handle.wait(5)).status).toBe('Running');
  });

  it('cancels tokens, and nothing that cannot be cancelled', async () => {
    const token = await operations.service.runInMemory(ctx, { ...task, class: 'token', metadata: { secret: 's' } });
    const stubborn = await operations.service.runInMemory(ctx, { ...task, run: () => new Promise(() => {}) });

    await operations.service.cancel(ctx, token.id);

    expect(token.api()).toMatchObject({ status: 'Cancelled', status_code: 401, may_cancel: true });
    await expect(operations.service.cancel(ctx, token.id)).rejects.toMatchObject({ kind: 'invalid', message: 'Only running operations can be cancelled' });
    await expect(operations.service.cancel(ctx, stubborn.id)).rejects.toMatchObject({ kind: 'invalid', message: "This operation can't be cancelled" });
    await operations.history.flush();
    expect(row(token.id)?.['metadata']).toBe('{}');
  });

  it('aborts its work when cancelled', async () => {
    const handle = await operations.service.runInMemory(ctx, {
      ...task, cancel: async () => {}, run: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });

    await operations.service.cancel(ctx, handle.id);

    expect((await handle.wait()).status).toBe('Cancelled');
  });

  it('hands a websocket to the operation that asked for one', async () => {
    const secrets: string[] = [];
    const exec = await operations.service.runInMemory(ctx, {
      ...task, class: 'websocket', run: () => new Promise(() => {}), connect: async (secret) => void secrets.push(secret),
    });
    const plain = await operations.service.runInMemory(ctx, { ...task, run: () => new Promise(() => {}) });

    await operations.service.connect(exec.id, 'abc', () => Promise.reject(new TypeError('unused')));

    expect(secrets).toEqual(['abc']);
    await expect(operations.service.connect(plain.id, 'abc', () => never())).rejects.toThrow('Only websocket operations can be connected');
    await expect(operations.service.connect('nope', 'abc', () => never())).rejects.toThrow('Operation not found');
  });

  const never = (): Promise<never> => new Promise(() => {});
});

describe('the history', () => {
  it('keeps a bounded number of rows and never one that is under way', async () => {
    const small = daemon({ historyRows: 3 });
    await world.runner.run(ctx, (tx) => tx.sql.run(
      `INSERT INTO operations (id, node_id, kind, version, class, description, status, created_at, updated_at) VALUES ('live', 1, 'x.y', 1, 'task', '', 'Running', '', '')`));
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const handle = await small.service.runInMemory(ctx, { kind: 'a.b', class: 'task', description: '', resources: {}, run: () => new Promise((done) => setTimeout(done, 2)) });
      await handle.done;
      ids.push(handle.id);
    }

    await small.history.flush();

    expect(world.database.read.all<{ id: string }>('SELECT id FROM operations').map(({ id }) => id).toSorted()).toEqual(['live', ...ids.slice(3)].toSorted());
  });
});

describe('stop', () => {
  it('does not wait for a history that cannot be written', async () => {
    const silent = await openTemporaryDatabase();
    const waiting = new DetachedOperations({ transactions: { run: () => new Promise<never>(() => {}) } as never, database: silent.database, feed: silent.feed });
    const done = await waiting.service.runInMemory(ctx, { kind: 'test.run', class: 'task', description: 'Testing', resources: {}, run: async () => {} });
    await done.done;

    const before = performance.now();
    await waiting.service.stop(0);
    expect(performance.now() - before).toBeLessThan(3000);
    await silent.close();
  });
});
