import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { X509Certificate } from 'node:crypto';
import { connect, createServer as createSocketServer, type AddressInfo, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { WebSocketServer } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateServerCertificate } from '#platform/auth';
import { HttpTransport } from './http-transport.js';
import { ApiClient, fingerprintOf, proxyFor, readText, shownCertificate } from './index.js';

const folder = mkdtempSync(`${tmpdir()}/roost-client-`);
const socketPath = `${folder}/unix.socket`;
let plain: Server;
let tls: ReturnType<typeof createTlsServer>;
let server: { certificate: string; key: string };
let other: { certificate: string; key: string };
let unix: ApiClient;
const seen: string[] = [];

const send = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  seen.push(`${request.method} ${request.url}`);
  const path = request.url?.split('?')[0];
  if (path === '/moved') return void response.writeHead(302, { location: '/1.0' }).end();
  if (path === '/1.0') return send(response, 200, { type: 'sync', metadata: { hello: 'world' } }, { ETag: '"abc"' });
  if (path === '/1.0/missing') return send(response, 404, { type: 'error', error: 'No such thing', error_code: 404 });
  if (path === '/1.0/work') return send(response, 202, { type: 'async', operation: '/1.0/operations/1', metadata: { metadata: null } });
  if (path === '/1.0/broken') return send(response, 202, { type: 'async', operation: '/1.0/operations/2', metadata: { metadata: { secret: 's' } } });
  if (path === '/1.0/operations/1/wait') return send(response, 200, { type: 'sync', metadata: { status_code: 200, err: '', metadata: { done: true } } });
  if (path === '/1.0/operations/2/wait') return send(response, 200, { type: 'sync', metadata: { status_code: 400, err: 'It broke', metadata: null } });
  if (path === '/1.0/echo') return send(response, 200, { type: 'sync', metadata: { type: request.headers['content-type'] ?? '', body: await readText(request) } });
  if (path === '/1.0/text') return void response.end('not json');
  if (path === '/1.0/slow') return;
  response.destroy();
}

beforeAll(async () => {
  [server, other] = await Promise.all([generateServerCertificate('localhost'), generateServerCertificate('other')]);
  plain = createServer((request, response) => void answer(request, response)).listen(socketPath);
  tls = createTlsServer({ cert: server.certificate, key: server.key }, (request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ server: plain, path: '/1.0/events' });
  sockets.on('connection', (socket) => socket.send(JSON.stringify({ type: 'lifecycle', metadata: { action: 'hello' } })));
  await new Promise((done) => tls.once('listening', done));
  unix = new ApiClient({ socketPath });
});

afterAll(async () => {
  unix.close();
  for (const one of [plain, tls]) {
    one.closeAllConnections();
    await new Promise((done) => one.close(done));
  }
  rmSync(folder, { recursive: true, force: true });
});

const url = (): string => `https://127.0.0.1:${(tls.address() as AddressInfo).port}`;

describe('ApiClient', () => {
  it('returns metadata and throws what the server says', async () => {
    expect(await unix.get('/1.0')).toEqual({ hello: 'world' });
    expect((await unix.call('GET', '/1.0')).etag).toBe('abc');
    await expect(unix.get('/1.0/missing')).rejects.toMatchObject({ kind: 'not-found', message: 'No such thing' });
    await expect(unix.get('/1.0/text')).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(unix.get('/1.0/destroyed')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('waits for operations, with their secret if they have one', async () => {
    expect(await unix.post('/1.0/work', {})).toEqual({ done: true });
    await expect(unix.post('/1.0/broken', {})).rejects.toMatchObject({ message: 'It broke' });
    expect(seen).toContain('GET /1.0/operations/2/wait?timeout=-1&secret=s');
  });

  it('sends objects as JSON and streams as they are, and adds the project', async () => {
    const client = new ApiClient({ socketPath }, { project: 'a b' });

    expect(await client.post('/1.0/echo', { x: 1 })).toEqual({ type: 'application/json', body: '{"x":1}' });
    expect(await client.post('/1.0/echo?project=c', Readable.from([Buffer.from('ab'), Buffer.from('cd')]))).toEqual({ type: '', body: 'abcd' });
    expect(seen.slice(-2)).toEqual(['POST /1.0/echo?project=a%20b', 'POST /1.0/echo?project=c']);
    client.close();
  });

  it('sends a request to a socket in one piece, so that who refuses it early is heard', async () => {
    const path = `${folder}/raw.socket`;
    const pieces: string[] = [];
    const refusal = '{"type":"error","error":"Not here","error_code":404}';
    const server = createSocketServer((socket) => socket.on('data', (data) => {
      pieces.push(data.toString());
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${refusal.length}\r\n\r\n${refusal}`);
    })).listen(path);
    await new Promise((done) => server.once('listening', done));
    const client = new ApiClient({ socketPath: path });
    await expect(client.post('/1.0/x?a=b', { name: 'ä' })).rejects.toMatchObject({ kind: 'not-found', message: 'Not here' });
    expect(pieces).toEqual(['POST /1.0/x?a=b HTTP/1.1\r\nhost: unix.socket\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"name":"ä"}']);
    await expect(client.get('/1.0', { headers: { 'x-bad': 'a\r\nb: c' } })).rejects.toMatchObject({ message: expect.stringContaining('invalid header field value') as string });
    client.close();
    await new Promise((done) => server.close(done));
  });

  it('gives up when told to or when nothing comes', async () => {
    await expect(unix.get('/1.0/slow', { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(unix.get('/1.0/slow', { idleTimeoutMs: 50 })).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('hears events', async () => {
    const first = Promise.withResolvers<unknown>();
    const events = await unix.events({ types: ['lifecycle'] }, (event) => first.resolve(event));

    expect(await first.promise).toMatchObject({ type: 'lifecycle', metadata: { action: 'hello' } });
    events.close();
    await events.closed;
  });

  it('says where it could not connect', async () => {
    const nowhere = new ApiClient({ socketPath: `${folder}/none` });
    await expect(nowhere.get('/1.0')).rejects.toMatchObject({
      kind: 'unavailable', message: `Get "http://unix.socket/1.0": dial unix ${folder}/none: connect: no such file or directory`,
    });
    nowhere.close();
  });
});

describe('TLS', () => {
  it('accepts the pinned certificate and no other', async () => {
    const right = new ApiClient({ url: url(), certificate: server.certificate });
    const wrong = new ApiClient({ url: url(), certificate: other.certificate });
    const none = new ApiClient({ url: url() });
    const before = seen.length;

    await expect(wrong.get('/1.0')).rejects.toMatchObject({ message: `Get "${url()}/1.0": x509: certificate signed by unknown authority` });
    await expect(none.get('/1.0')).rejects.toMatchObject({ message: `Get "${url()}/1.0": x509: certificate signed by unknown authority` });
    expect(seen).toHaveLength(before);
    expect(await right.get('/1.0')).toEqual({ hello: 'world' });
    for (const client of [right, wrong, none]) client.close();
  });

  it('goes through a proxy', async () => {
    const targets: string[] = [];
    const proxy = createServer().listen(0, '127.0.0.1');
    proxy.on('connect', (request, client) => {
      targets.push(request.url ?? '');
      const upstream = connect(Number((request.url ?? '').split(':')[1]), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream]) socket.on('error', () => undefined);
    });
    await new Promise((done) => proxy.once('listening', done));
    const settings = { http: '', https: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, ignoreHosts: '' };
    const far = url().replace('127.0.0.1', 'server.test');
    const client = new ApiClient({ url: far, certificate: server.certificate, proxy: settings });

    expect(await client.get('/1.0')).toEqual({ hello: 'world' });
    expect(fingerprintOf(await shownCertificate(far.slice('https://'.length), settings))).toBe(fingerprintOf(new X509Certificate(server.certificate)));
    expect(targets).toEqual(Array.from({ length: 2 }, () => far.slice('https://'.length)));
    client.close();
    proxy.closeAllConnections();
    proxy.close();
  });
});

describe('HttpTransport', () => {
  it('follows redirects and refuses schemes it does not know', async () => {
    const transport = new HttpTransport({ socketPath });

    expect(JSON.parse(await readText(await transport.request({ method: 'GET', url: 'http://x/moved' })))).toMatchObject({ metadata: { hello: 'world' } });
    await expect(transport.request({ method: 'GET', url: 'ftp://x/' })).rejects.toMatchObject({ message: 'Get "ftp://x/": unsupported protocol scheme "ftp"' });
    await expect(transport.request({ method: 'GET', url: '/1.0' })).rejects.toMatchObject({ message: 'Get "/1.0": unsupported protocol scheme ""' });
    transport.close();
  });
});

describe('proxyFor', () => {
  const proxy = { http: 'http://p:3128', https: 'p:3129', ignoreHosts: 'Plain, .example.com,10.0.0.1, 10.2.0.0/16,fd00::/8,[fe80::1]:8443,port.org:1,10.3.0.0/99' };

  it.each([
    ['http:', 'a.org', 'http://p:3128/'], ['https:', 'a.org', 'http://p:3129/'], ['https:', 'www.example.com', undefined], ['http:', '10.0.0.1', undefined], ['https:', '10.0.0.2', 'http://p:3129/'],
    // This machine is never behind a proxy; names are so in any case, and ports say nothing.
    ['https:', 'localhost', undefined], ['https:', '127.8.0.1', undefined], ['https:', '[::1]', undefined], ['https:', 'PLAIN', undefined], ['https:', 'in.plain', undefined], ['https:', 'port.org', undefined],
    ['https:', '10.2.3.4', undefined], ['https:', '10.3.0.0', 'http://p:3129/'], ['https:', '[fd12::1]', undefined], ['https:', '[fe80::1]', undefined], ['https:', '[fc00::1]', 'http://p:3129/'],
  ])('%s %s', (scheme, host, expected) => {
    expect(proxyFor(scheme, host, proxy)?.href).toBe(expected);
  });

  it('refuses an address that is none', () => {
    expect(() => proxyFor('https:', 'a.org', { ...proxy, https: '::bad' })).toThrow('invalid proxy address "::bad"');
  });
});

describe('ApiClient.upgrade', () => {
  it('gives up when nothing comes', async () => {
    const path = `${folder}/silent.socket`;
    const sockets: Socket[] = [];
    const silent = createSocketServer((socket) => sockets.push(socket)).listen(path);
    await new Promise((done) => silent.once('listening', done));
    const client = new ApiClient({ socketPath: path }, { idleTimeoutMs: { read: 50, write: 50 } });
    await expect(client.upgrade('/1.0/instances/c1/sftp', 'sftp')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('no data for 0.05 seconds') as string });
    client.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => silent.close(done));
  });
});
