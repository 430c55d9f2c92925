import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { Global, Module } from '@nestjs/common';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forbidden, internalContext, Logger, SilentLogger } from '#kernel';
import { Authenticator, ClusterCertificates } from '#platform/auth';
import { Database, DatabaseModule } from '#platform/database';
import { EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule, OperationsService, type InMemoryOptions } from '#platform/operations';
import { OperationsApiModule } from './operations-api.module.js';

let api: ApiApp;
let folder: string;
let socketPath: string;
let operations: OperationsService;
const caller = { username: 'root', protocol: 'unix', address: '@', trusted: true, allowedProjects: null as string[] | null };

@Global()
@Module({
  providers: [
    { provide: Logger, useClass: SilentLogger },
    { provide: ClusterCertificates, useValue: { onChange: () => () => undefined } },
    { provide: Authenticator, useValue: { identify: () => ({ ...caller }) } },
  ],
  exports: [Logger, ClusterCertificates, Authenticator],
})
class FakesModule {}

beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/roost-operations-`);
  socketPath = `${folder}/unix.socket`;
  @Module({
    imports: [FakesModule, DatabaseModule.forRoot({ directory: `${folder}/database` }), EventBusModule, OperationsModule.forRoot({ visibleMs: 300 }), HttpModule, OperationsApiModule],
  })
  class TestModule {}
  api = await createApiApp(TestModule);
  await api.server.listenUnix(socketPath);
  operations = api.app.get(OperationsService);
});

afterAll(async () => {
  await api.server.close();
  await api.app.close();
  await rm(folder, { recursive: true });
});

function call(method: string, path: string): Promise<{ status: number; metadata: any; error: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path: `/1.0/operations${path}` }, (response) => {
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => {
        const { metadata, error } = JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, metadata, error });
      });
    });
    request.on('error', reject);
    request.end();
  });
}

function begin(options: Partial<InMemoryOptions> = {}, project = 'default') {
  return operations.runInMemory(internalContext(undefined, project), { kind: 'test.run', class: 'task', description: 'Testing', resources: {}, ...options });
}

const forEver = (): Promise<never> => new Promise(() => {});

describe('/1.0/operations', () => {
  it('lists by status, of one project or of all', async () => {
    const here = await begin({ run: forEver, cancel: async () => {} });
    const there = await begin({ class: 'token' }, 'web');

    expect((await call('GET', '')).metadata.running).toEqual([`/1.0/operations/${here.id}`]);
    expect((await call('GET', '?project=web&recursion=1')).metadata).toEqual({ running: [there.api()] });
    expect((await call('GET', '?all-projects=true')).metadata.running).toHaveLength(2);
    expect((await call('GET', '?project=nope')).metadata).toEqual({});

    await operations.cancel(internalContext(), there.id);
    expect((await call('GET', '?project=web')).metadata).toEqual({ cancelled: [`/1.0/operations/${there.id}`] });
  });

  it.each([['GET', ''], ['GET', '/wait'], ['DELETE', ''], ['GET', '/websocket?secret=x']])('answers 404 to %s of an unknown one%s', async (method, path) => {
    expect(await call(method, `/nope${path}`)).toMatchObject({ status: 404, error: 'Operation not found' });
  });

  it('cancels what can be cancelled', async () => {
    const token = await begin({ class: 'token' });
    const task = await begin({ run: forEver });

    expect(await call('DELETE', `/${token.id}`)).toMatchObject({ status: 200, metadata: {} });
    expect((await call('GET', `/${token.id}`)).metadata).toMatchObject({ status: 'Cancelled', status_code: 401 });
    expect(await call('DELETE', `/${token.id}`)).toMatchObject({ status: 400, error: 'Only running operations can be cancelled' });
    expect(await call('DELETE', `/${task.id}`)).toMatchObject({ status: 400, error: "This operation can't be cancelled" });
  });

  it('waits for the end, or for as long as asked', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const task = await begin({ run: () => promise });

    expect((await call('GET', `/${task.id}/wait?timeout=0`)).metadata.status).toBe('Running');
    expect(await call('GET', `/${task.id}/wait?timeout=abc`)).toMatchObject({ status: 500, error: 'strconv.Atoi: parsing "abc": invalid syntax' });
    const waiting = call('GET', `/${task.id}/wait?timeout=-1`);
    resolve();
    expect((await waiting).metadata.status).toBe('Success');
  });

  it('asks strangers for the secret', async () => {
    const token = await begin({ class: 'token', metadata: { secret: 's1' } });
    caller.trusted = false;
    try {
      expect((await call('GET', `/${token.id}`)).status).toBe(403);
      expect((await call('GET', `/${token.id}/wait?timeout=0`)).status).toBe(403);
      expect((await call('GET', `/${token.id}/wait?timeout=0&secret=x`)).status).toBe(403);
      expect((await call('GET', `/${token.id}/wait?timeout=0&secret=s1`)).status).toBe(200);
      expect(await call('GET', `/${token.id}/websocket`)).toMatchObject({ status: 400, error: 'missing secret' });
      expect(await call('GET', `/${token.id}/websocket?secret=s1`)).toMatchObject({ status: 500, error: 'Only websocket operations can be connected' });
    } finally {
      caller.trusted = true;
    }
  });

  it('hides operations of projects a caller may not use', async () => {
    const there = await begin({ class: 'token' }, 'web');
    caller.allowedProjects = ['default'];
    try {
      expect((await call('GET', `/${there.id}`)).status).toBe(404);
      expect((await call('DELETE', `/${there.id}`)).status).toBe(404);
    } finally {
      caller.allowedProjects = null;
    }
  });

  it('connects websockets by their secret', async () => {
    const echo = await begin({
      class: 'websocket', run: forEver,
      connect: async (secret, accept) => {
        if (secret !== 'right') throw forbidden('not authorized');
        const socket = await accept();
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      },
    });
    const open = (secret: string): WebSocket => new WebSocket(`ws+unix://${socketPath}:/1.0/operations/${echo.id}/websocket?secret=${secret}`);

    const answer = await new Promise((resolve, reject) => {
      const socket = open('right');
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (data) => { resolve(String(data)); socket.terminate(); });
      socket.on('error', reject);
    });
    const refused = await new Promise((resolve) => open('wrong').on('unexpected-response', (_, response) => resolve(response.statusCode)).on('error', () => {}));

    expect(answer).toBe('hello');
    expect(refused).toBe(403);
    expect((await call('GET', `/${echo.id}/websocket?secret=right`)).status).toBe(400);
  });

  it('forgets an operation some time after its end', async () => {
    const task = await begin({ run: async () => {} });
    await task.done;

    expect((await call('GET', `/${task.id}`)).status).toBe(200);
    await expect.poll(async () => (await call('GET', `/${task.id}`)).status, { timeout: 2000 }).toBe(404);
  });
});

describe('the end of the daemon', () => {
  it('still writes what has just ended to the history', async () => {
    const directory = `${folder}/other-database`;
    @Module({ imports: [FakesModule, DatabaseModule.forRoot({ directory }), EventBusModule, OperationsModule.forRoot(), HttpModule, OperationsApiModule] })
    class FirstLife {}
    const first = await createApiApp(FirstLife);
    const task = await first.app.get(OperationsService).runInMemory(internalContext(), { kind: 'test.run', class: 'task', description: 'Testing', resources: {}, run: async () => {} });
    await task.done;
    await first.app.close();

    @Module({ imports: [FakesModule, DatabaseModule.forRoot({ directory }), EventBusModule, OperationsModule.forRoot(), HttpModule] })
    class SecondLife {}
    const second = await createApiApp(SecondLife);

    expect(second.app.get(Database).read.get('SELECT kind, status FROM operations WHERE id = ?', task.id)).toEqual({ kind: 'test.run', status: 'Success' });
    await second.app.close();
  });
});
