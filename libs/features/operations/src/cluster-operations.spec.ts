import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forbidden, internalContext, type Requestor } from '#kernel';
import type { EventApi } from '#api-types';
import { EventsModule } from '#features/events';
import { ClusterCertificates } from '#platform/auth';
import { EventBus, EventMesh } from '#platform/events';
import { OperationsModule, OperationsService, type InMemoryOptions } from '#platform/operations';
import { SilentGate, TlsMember, type ClusterPair } from '#platform/peers/testing';
import { OperationsApiModule } from './operations-api.module.js';

const imports = [OperationsModule.forRoot(), OperationsApiModule, EventsModule];
const forEver = (): Promise<never> => new Promise(() => {});

class Member extends TlsMember {
  constructor(id: number, advertised?: string) {
    super(id, `127.32.0.${id}:18443`, { imports, ...(advertised === undefined ? {} : { advertised }) });
  }

  begin(options: Partial<InMemoryOptions> = {}, requestor?: Requestor) {
    const ctx = { ...internalContext(), ...(requestor ? { requestor } : {}) };
    return this.app.get(OperationsService).runInMemory(ctx, { kind: 'test.run', class: 'task', description: 'Testing', resources: {}, run: forEver, ...options });
  }

  reaches(id: number): boolean {
    return this.app.get(EventMesh).connected(id);
  }

  ask(method: string, path: string): Promise<{ status: number; metadata: any; error: string }> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: this.socket, path: `/1.0${path}`, method }, (response) => {
        text(response).then((body) => resolve({ ...JSON.parse(body), status: response.statusCode! }), reject);
      });
      request.on('error', reject);
      request.end();
    });
  }

  open(path: string): WebSocket {
    return new WebSocket(`ws+unix://${this.socket}:/1.0${path}`, { perMessageDeflate: false });
  }

  async listen(query = ''): Promise<EventApi[]> {
    const heard: EventApi[] = [];
    const socket = this.open(`/events${query}`);
    socket.on('message', (data) => heard.push(JSON.parse(String(data)) as EventApi));
    await new Promise((resolve, reject) => void socket.once('open', resolve).once('error', reject));
    return heard;
  }
}

/** Members that speak TLS with each other; whatever reaches the second goes through the gate. */
let a: Member;
let b: Member;
let c: Member;
let gate: SilentGate;
let cluster: ClusterPair;

async function formed(): Promise<void> {
  for (const member of [a, b, c]) await member.knows([a, b, c], cluster);
  await TlsMember.found([a, b, c]);
}

beforeAll(async () => {
  gate = new SilentGate({ host: '127.32.0.2', port: 18443 });
  await gate.listen('127.32.0.2', 18444);
  [a, b, c] = [new Member(1), new Member(2, '127.32.0.2:18444'), new Member(3)];
  for (const member of [a, b, c]) await member.start();
  cluster = await a.app.get(ClusterCertificates).create();
  await formed();
});

afterAll(async () => {
  gate.close();
  await Promise.all([a, b, c].map((member) => member.stop()));
});

describe('events of a cluster', () => {
  it('come from all members to whoever listens on any, with the member they happened on and who asked', async () => {
    const heard = await a.listen('?type=lifecycle,operation');
    const requestor: Requestor = { username: 'joe', protocol: 'tls', address: '10.0.0.1:9' };

    b.app.get(EventBus).lifecycle({ action: 'instance-started', source: '/1.0/instances/c1', project: 'default', requestor });
    const task = await c.begin({ run: async () => {} });

    await expect.poll(() => heard.filter(({ type }) => type === 'operation').length).toBe(3);
    expect(heard.find(({ type }) => type === 'lifecycle')).toEqual({
      type: 'lifecycle', timestamp: expect.any(String), location: 'm2', project: 'default', metadata: { action: 'instance-started', source: '/1.0/instances/c1', requestor },
    });
    expect(heard.filter(({ type }) => type === 'operation').map(({ location, metadata }) => [location, (metadata as { id: string; status: string }).id, (metadata as { status: string }).status])).toEqual([
      ['m3', task.id, 'Pending'], ['m3', task.id, 'Running'], ['m3', task.id, 'Success'],
    ]);
  });

  it('keep to the project that was asked for, and to no other', async () => {
    const heard = await a.listen('?type=lifecycle');

    b.app.get(EventBus).lifecycle({ action: 'theirs', source: '/1.0/x?project=web', project: 'web' });
    b.app.get(EventBus).lifecycle({ action: 'ours', source: '/1.0/x', project: 'default' });

    await expect.poll(() => heard.map(({ metadata }) => (metadata as { action: string }).action)).toEqual(['ours']);
  });
});

describe('operations of a cluster', () => {
  it('are listed, shown, awaited and cancelled through any member', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const task = await b.begin({ run: () => promise });
    const token = await c.begin({ class: 'token' });

    expect((await a.ask('GET', '/operations')).metadata.running).toEqual(expect.arrayContaining([`/1.0/operations/${task.id}`, `/1.0/operations/${token.id}`]));
    expect((await a.ask('GET', `/operations/${task.id}`)).metadata).toEqual(task.api());
    const waiting = a.ask('GET', `/operations/${task.id}/wait`);
    resolve();

    expect((await waiting).metadata).toMatchObject({ id: task.id, status: 'Success', location: 'm2' });
    expect(await a.ask('DELETE', `/operations/${task.id}`)).toMatchObject({ status: 400, error: 'Only running operations can be cancelled' });
    expect((await a.ask('DELETE', `/operations/${token.id}`)).status).toBe(200);
  });

  it('connect websockets wherever they are', async () => {
    const echo = await b.begin({
      class: 'websocket',
      connect: async (secret, accept) => {
        if (secret !== 'right') throw forbidden('not authorized');
        const socket = await accept();
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      },
    });
    const bytes = Buffer.alloc(300_000, 5);

    const answer = await new Promise<Buffer>((resolve, reject) => {
      const socket = a.open(`/operations/${echo.id}/websocket?secret=right`);
      socket.on('open', () => socket.send(bytes));
      socket.on('message', (data) => { resolve(data as Buffer); socket.terminate(); });
      socket.on('error', reject);
    });
    const refused = await new Promise((resolve) => a.open(`/operations/${echo.id}/websocket?secret=wrong`).on('unexpected-response', (_, response) => resolve(response.statusCode)).on('error', () => {}));

    expect(answer.equals(bytes)).toBe(true);
    expect(refused).toBe(403);
  });

  it('end for whoever waits when their member falls silent, and are gone at once after that', async () => {
    const task = await b.begin();
    const heard = await c.listen('?type=operation');
    const waiting = a.ask('GET', `/operations/${task.id}/wait`);
    // The wait has arrived there.
    await expect.poll(async () => (await a.ask('GET', `/operations/${task.id}`)).status).toBe(200);

    gate.fallSilent();
    const silentAt = performance.now();
    await expect.poll(() => a.reaches(2) || c.reaches(2), { timeout: 8000, interval: 20 }).toBe(false);
    const noticedMs = performance.now() - silentAt;
    for (const member of [a, c]) member.offline.add(2);

    expect(noticedMs).toBeLessThan(5000);
    expect((await waiting).metadata).toMatchObject({ status: 'Failure', err: 'Lost connection to cluster member "m2" that ran the operation' });
    await expect.poll(() => heard.find(({ metadata }) => (metadata as { id: string }).id === task.id)?.metadata, { timeout: 3000 }).toMatchObject({ status: 'Failure', location: 'm2' });
    const before = performance.now();
    expect(await a.ask('GET', `/operations/${task.id}`)).toMatchObject({ status: 404, error: 'Operation not found' });
    expect((await a.ask('GET', '/operations?recursion=1')).status).toBe(200);
    expect(performance.now() - before).toBeLessThan(500);

    gate.speak();
    for (const member of [a, c]) member.offline.clear();
    await expect.poll(() => a.reaches(2) && c.reaches(2), { timeout: 8000 }).toBe(true);
    expect((await a.ask('GET', `/operations/${task.id}`)).metadata.status).toBe('Running');
  });
});
