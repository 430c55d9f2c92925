import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { WebSocketServer, type WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiClient, followOperation } from './index.js';

const answer = { type: 'async' as const, status: 202, metadata: { metadata: null }, operation: '/1.0/operations/op1?project=p', etag: '', location: '' };
let directory: string;
let server: Server;
let api: ApiClient;
/** Path and how often it was asked for. */
let asked: Record<string, number>;
let finish: (operation: object) => void;
let listener: Promise<WebSocket>;

async function serve(withEvents: boolean): Promise<void> {
  const done = Promise.withResolvers<object>();
  const connected = Promise.withResolvers<WebSocket>();
  [finish, listener] = [done.resolve, connected.promise];
  server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    asked[path] = (asked[path] ?? 0) + 1;
    const send = (metadata: object): void => { response.end(JSON.stringify({ type: 'sync', metadata })); };
    if (path.endsWith('/wait')) void done.promise.then(send);
    else if (path === '/1.0/operations/op1') send({ id: 'op1', status_code: 103, metadata: { create_progress: `look ${asked[path]}` } });
    else response.writeHead(403).end(JSON.stringify({ type: 'error', error: 'not authorized', error_code: 403 }));
  });
  if (withEvents) new WebSocketServer({ server, path: '/1.0/events' }).on('connection', connected.resolve);
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
  api = new ApiClient({ socketPath: `${directory}/socket` });
}

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/roost-follow-`);
  asked = {};
});
afterEach(async () => {
  api.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

const success = { id: 'op1', status_code: 200, err: '' };

describe('followOperation', () => {
  it('hears of an operation that lasts by events, and asks once', async () => {
    await serve(true);
    const told: unknown[] = [];
    const heard = Promise.withResolvers<void>();
    const following = followOperation(api, answer, { everyMs: 10, onUpdate: (operation) => {
      told.push(operation.metadata?.['create_progress']);
      if (told.length === 3) heard.resolve();
    } });
    const socket = await listener;
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const [id, progress] of [['other', 'not ours'], ['op1', '10%'], ['op1', '20%']]) socket.send(JSON.stringify({ type: 'operation', metadata: { id, status_code: 103, metadata: { create_progress: progress } } }));
    await heard.promise;
    finish(success);
    expect(await following).toMatchObject({ status_code: 200 });
    expect(told).toEqual(['look 1', '10%', '20%']);
    expect(asked['/1.0/operations/op1']).toBe(1);
  });

  it('asks again and again where there are no events, and when they have ended', async () => {
    await serve(false);
    const told = Promise.withResolvers<void>();
    const following = followOperation(api, answer, { everyMs: 10, onUpdate: (operation) => { if (operation.metadata?.['create_progress'] === 'look 3') told.resolve(); } });
    await told.promise;
    finish(success);
    await following;
    expect(asked['/1.0/events']).toBe(1);
  });

  it('neither listens nor asks about what is done at once, or when nobody wants to know', async () => {
    await serve(true);
    finish(success);
    await followOperation(api, answer, { everyMs: 5_000, onUpdate: () => { throw new Error('nothing to tell'); } });
    await followOperation(api, answer);
    expect(asked).toEqual({ '/1.0/operations/op1/wait': 2 });
  });

  it('throws what an operation failed of, with the operation', async () => {
    await serve(true);
    finish({ id: 'op1', status_code: 400, err: 'No space' });
    await expect(followOperation(api, answer)).rejects.toMatchObject({ message: 'No space', details: { operation: { id: 'op1' } } });
  });
});
