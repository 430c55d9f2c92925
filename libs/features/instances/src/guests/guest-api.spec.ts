import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstancePut } from '#api-types';
import { ProfilesService } from '#features/profiles';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstanceUpdate } from '../instance-update.service.js';
import { InstancesService } from '../instances.service.js';
import { rootOnHost } from '../rules/idmap.rules.js';
import { anyTree, FakeMember } from '../testing/fake-member.js';
import { GuestApi } from './index.js';

let member: FakeMember;
beforeEach(async () => {
  member = await FakeMember.start();
  await member.get(GuestApi).listen();
  await member.create('c1', { config: { 'user.foo': 'bar', 'cloud-init.user-data': '#cloud-config\n', 'user.meta-data': 'more: 1\n', 'boot.autostart': 'true' } });
});
afterEach(() => member.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A connection as the agent's helper hands it over. */
function door(line = 'c1 0\n'): Duplex {
  const socket = connect(member.host.state.guestSocket);
  socket.on('error', () => {});
  socket.write(line);
  return socket;
}

async function ask(path: string, { line, method = 'GET' }: { line?: string; method?: string } = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({ path, method, createConnection: () => door(line), headers: { connection: 'close' } }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }));
  });
  sent.on('error', reject);
  sent.end();
  return promise;
}

async function update(name: string, body: InstancePut): Promise<void> {
  await member.get(InstanceUpdate).merge(member.ctx(), { project: 'default', name, body, ifMatch: undefined, merge: true });
}

async function start(name: string): Promise<void> {
  const instance = await member.get(InstancesService).get('default', name, anyTree);
  await (await member.get(InstanceStateChanges).change(member.ctx(), instance, { action: 'start' })).wait();
}

describe('the guest API', () => {
  it('answers as LXD does', async () => {
    const id = (await member.instance('c1')).config['volatile.cloud-init.instance-id'];
    expect(await ask('/')).toMatchObject({ status: 200, body: '["/1.0"]\n', headers: { 'content-type': 'application/json' } });
    expect((await ask('/1.0')).body).toBe('{"state":"","api_version":"1.0","instance_type":"container","location":"none"}\n');
    expect(await ask('/1.0/meta-data')).toMatchObject({ headers: { 'content-type': 'application/octet-stream' }, body: `#cloud-config\ninstance-id: ${id}\nlocal-hostname: c1\nmore: 1\n` });
    expect((await ask('/1.0/config')).body).toBe('["/1.0/config/cloud-init.user-data","/1.0/config/user.foo","/1.0/config/user.meta-data"]\n');
    expect(await ask('/1.0/config/user.foo', { method: 'POST' })).toMatchObject({ status: 200, body: 'bar' });
    expect(JSON.parse((await ask('/1.0/devices')).body)).toMatchObject({ root: { type: 'disk', path: '/' } });
  });

  it.each([
    ['/1.0/config/user.nope', 404, 'not found'], ['/1.0/config/boot.autostart', 403, 'not authorized'], ['/1.0/images/abc/export', 403, 'not authorized'],
    ['/1.0/', 404, '404 page not found'], ['/1.0/nope', 404, '404 page not found'], ['/2.0', 404, '404 page not found'], ['/1.0/config/', 404, '404 page not found'],
    ['/1.0/config/user.a/b', 404, '404 page not found'], ['/1.0/config/%ff', 404, '404 page not found'], ['/1.0/config/../../2.0', 404, '404 page not found'],
  ])('refuses %s', async (path, status, text) => {
    expect(await ask(path)).toMatchObject({ status, body: `${text}\n`, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' } });
  });

  it('tells an instance about itself only, and root alone', async () => {
    await member.create('c2', { config: { 'user.foo': 'other' } });
    expect((await ask('/1.0/config/user.foo', { line: 'c2 0\n' })).body).toBe('other');
    expect(await ask('/1.0', { line: 'c1 1000\n' })).toMatchObject({ status: 401, body: 'Access denied for non-root user\n' });
    expect(await ask('/1.0', { line: 'gone 0\n' })).toMatchObject({ status: 500, body: 'pid not in container?\n' });
    await expect(ask('/1.0', { line: 'no line\nGET ' })).rejects.toThrow();
    await update('c1', { config: { 'security.devlxd': 'false' } } as unknown as InstancePut);
    expect(await ask('/1.0')).toMatchObject({ status: 403 });
  });

  it('offers images only where they are allowed and public or cached', async () => {
    await update('c1', { config: { 'security.devlxd.images': 'true' } } as unknown as InstancePut);
    expect(await ask('/1.0/images/abc/export')).toMatchObject({ status: 404, body: expect.stringContaining('"error":"Image not found"') as string });
  });

  it('goes on after a request that makes no sense, and ends a connection that asks twice at once', async () => {
    const socket = door('c1 0\nGET /1.0 HTTP/1.1\r\nHost: x\r\n\r\nGET /1.0 HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve).resume());
    const garbage = door('c1 0\ngarbage\r\n\r\n');
    const said: Buffer[] = [];
    await new Promise((resolve) => garbage.on('data', (chunk: Buffer) => said.push(chunk)).once('close', resolve));
    expect(Buffer.concat(said).toString()).toContain('400 Bad Request');
    expect(await ask('/1.0')).toMatchObject({ status: 200 });
  });

  it('paces one instance and not the others', async () => {
    await member.create('c2');
    const begun = performance.now();
    let others = 0;
    const flood = Promise.all(Array.from({ length: 260 }, async () => ask('/1.0')));
    for (let i = 0; i < 5; i++) {
      await ask('/1.0', { line: 'c2 0\n' });
      others = performance.now() - begun;
    }
    await flood;
    expect(performance.now() - begun).toBeGreaterThan(450);
    expect(others).toBeLessThan(performance.now() - begun);
  });
});

describe('events of the guest API', () => {
  const rootLine = async (): Promise<string> => `c1 ${rootOnHost((await member.instance('c1')).config)}\n`;

  async function stream(path: string): Promise<{ lines: () => Record<string, unknown>[]; close: () => void }> {
    const socket = door(`${await rootLine()}GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await expect.poll(() => text).toContain('\r\n\r\n');
    expect(text.split('\r\n\r\n')[0]).toBe('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff');
    return { lines: () => text.split('\r\n\r\n')[1]!.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>), close: () => socket.destroy() };
  }

  it('says which user keys and devices changed while it runs', async () => {
    await start('c1');
    const [all, config, none] = [await stream('/1.0/events'), await stream('/1.0/events?type=config'), await stream('/1.0/events?type=bogus')];
    await update('c1', { config: { 'user.foo': 'baz', 'cloud-init.vendor-data': 'x' } } as unknown as InstancePut);
    await update('c1', { devices: { eth7: { type: 'none' } } } as unknown as InstancePut);
    await expect.poll(() => all.lines().length).toBe(2);
    expect(all.lines()).toEqual([
      { type: 'config', timestamp: expect.any(String) as string, metadata: { key: 'user.foo', old_value: 'bar', value: 'baz' } },
      { type: 'device', timestamp: expect.any(String) as string, metadata: { action: 'added', config: { type: 'none' }, name: 'eth7' } },
    ]);
    expect(config.lines()).toHaveLength(1);
    expect(none.lines()).toHaveLength(0);
    for (const { close } of [all, config, none]) close();
  });

  it('speaks websocket to those who ask for it', async () => {
    await start('c1');
    const key = Buffer.from('0123456789abcdef').toString('base64');
    const socket = door(`${await rootLine()}GET /1.0/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    await expect.poll(() => text).toContain(createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64'));
    await update('c1', { config: { 'user.new': '1' } } as unknown as InstancePut);
    await expect.poll(() => text).toContain('"metadata":{"key":"user.new","old_value":"","value":"1"}');
    socket.destroy();
  });
});

describe("cloud-init's instance id", () => {
  const id = async (): Promise<string> => (await member.instance('c1')).config['volatile.cloud-init.instance-id'] ?? '';

  it.each([
    ['data for it', { config: { 'user.user-data': 'x' } }, true], ['another name of an interface', { devices: { eth9: { type: 'nic', nictype: 'p2p' } } }, true],
    ['any other key', { config: { 'user.other': 'x', 'user.meta-data': 'y', 'limits.processes': '7' } }, false],
  ])('is a new one after %s', async (_what, body, changes) => {
    const before = await id();
    await update('c1', body as unknown as InstancePut);
    expect((await id()) !== before).toBe(changes);
  });

  it('is a new one when a profile brings other data', async () => {
    const before = await id();
    await member.get(ProfilesService).update(member.ctx(), 'default', { config: { 'cloud-init.vendor-data': 'x' }, devices: {}, description: '' }, { patch: true, ifMatch: undefined });
    expect(await id()).not.toBe(before);
  });
});
