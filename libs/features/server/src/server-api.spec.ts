import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { Global, Module } from '@nestjs/common';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CertificatesModule } from '#features/auth';
import { EventsModule } from '#features/events';
import { Clock, Logger, SilentLogger, StateDirectory, SystemClock } from '#kernel';
import { FakeHostInfo, FakeStorageDriver } from '#drivers/fake';
import { AuthModule, generateServerCertificate, parsePem } from '#platform/auth';
import { DatabaseModule } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule } from '#platform/operations';
import { HostInfo, StorageDriver } from '#ports';
import { DaemonControl, ServerConfig, ServerModule } from './index.js';

let api: ApiApp;
let socketPath: string;
let folder: string;
let client: { certificate: string; key: string };

@Global()
@Module({
  providers: [
    { provide: Logger, useClass: SilentLogger },
    { provide: Clock, useClass: SystemClock },
    { provide: HostInfo, useFactory: () => new FakeHostInfo() },
    { provide: StorageDriver, useFactory: () => new FakeStorageDriver() },
  ],
  exports: [Logger, Clock, HostInfo, StorageDriver],
})
class FakesModule {}

beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/roost-server-`);
  socketPath = `${folder}/unix.socket`;
  client = await generateServerCertificate('client');
  const state = new StateDirectory(folder);
  const database = DatabaseModule.forRoot({ directory: state.database, synchronous: 'OFF', ballast: { bytes: 0 } });
  @Module({ imports: [FakesModule, database, AuthModule.forRoot({ directory: state }), EventBusModule, OperationsModule.forRoot(), HttpModule, ServerModule, CertificatesModule, EventsModule] })
  class TestModule {}
  api = await createApiApp(TestModule);
  await api.server.listenUnix(socketPath);
});

afterAll(async () => {
  await api.server.close();
  await api.app.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer { status: number; headers: IncomingHttpHeaders; error: string; metadata: any }

function send(method: string, path: string, body: unknown, options: { tls?: 'client' | 'anonymous'; ifMatch?: string } = {}): Promise<Answer> {
  const headers: Record<string, string> = options.ifMatch === undefined ? {} : { 'If-Match': options.ifMatch };
  return new Promise((resolve, reject) => {
    const port = Number(api.server.boundAddress('https')?.split(':').pop());
    const identity = options.tls === 'client' ? { cert: client.certificate, key: client.key } : {};
    const request = options.tls === undefined
      ? httpRequest({ socketPath, method, path, headers })
      : httpsRequest({ host: '127.0.0.1', port, method, path, headers, rejectUnauthorized: false, agent: false, ...identity });
    request.on('response', (response) => {
      let text = '';
      response.on('data', (c: Buffer) => (text += c.toString()));
      response.on('end', () => {
        const { error, metadata } = JSON.parse(text) as { error: string; metadata: unknown };
        resolve({ status: response.statusCode ?? 0, headers: response.headers, error, metadata });
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const get = (path: string): Promise<Answer> => send('GET', path, undefined);
const setConfig = (config: Record<string, unknown>): Promise<Answer> => send('PATCH', '/1.0', { config });

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

describe('GET /1.0', () => {
  it('tells the trusted about configuration and environment', async () => {
    const { metadata, headers } = await get('/1.0?project=web');

    expect(Object.keys(metadata)).toEqual(['config', 'api_extensions', 'api_status', 'api_version', 'auth', 'public', 'auth_methods', 'environment']);
    expect(metadata).toMatchObject({ auth: 'trusted', api_version: '1.0', auth_methods: ['tls'] });
    expect(metadata.environment).toMatchObject({ server: 'lxd', server_version: '5.0.2', server_pid: process.pid, server_clustered: false, project: 'web', driver: 'lxc', server_name: 'fake' });
    expect(metadata.environment.certificate_fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(metadata.api_extensions).toContain('instances');
    expect(headers.etag).toMatch(/^"[0-9a-f]{64}"$/);
  });

  it('has resources and refuses members that do not exist', async () => {
    expect((await get('/1.0/resources')).metadata).toHaveProperty('cpu');
    expect(await get('/1.0?target=foo')).toMatchObject({ status: 404, error: 'Cluster member not found' });
  });
});

describe('the configuration', () => {
  it('refuses what LXD refuses, in its words', async () => {
    const cases: [string, string, string][] = [
      ['nosuch', 'x', "cannot set 'nosuch' to 'x': unknown key"],
      ['core.https_address', 'no.such.host.invalid', 'cannot set \'core.https_address\' to \'no.such.host.invalid\': Couldn\'t resolve "no.such.host.invalid"'],
      ['core.https_allowed_credentials', 'maybe', "cannot set 'core.https_allowed_credentials' to 'maybe': invalid boolean"],
      ['core.remote_token_expiry', '1x', "cannot set 'core.remote_token_expiry' to '1x': Invalid expiry expression"],
      ['core.remote_token_expiry', '2d 3d', "cannot set 'core.remote_token_expiry' to '2d 3d': Invalid expiry expression"],
      ['core.shutdown_timeout', 'x', "cannot set 'core.shutdown_timeout' to 'x': invalid integer"],
      ['core.bgp_asn', '5000000000', "cannot set 'core.bgp_asn' to '5000000000': Value isn't within valid range. Must be between 0 and 4294967294"],
      ['images.compression_algorithm', 'foo', 'cannot set \'images.compression_algorithm\' to \'foo\': Invalid compression algorithm "foo"'],
      ['cluster.max_voters', '2', "cannot set 'cluster.max_voters' to '2': Value must be an odd number equal to or higher than 3"],
      ['cluster.offline_threshold', '5', "cannot set 'cluster.offline_threshold' to '5': Value must be greater than '10'"],
    ];
    for (const [key, value, error] of cases) expect(await setConfig({ [key]: value })).toMatchObject({ status: 400, error });
    expect(await setConfig({ 'user.a': 5 })).toMatchObject({ status: 400, error: "cannot set 'user.a': invalid type float64" });
    expect(await setConfig({ nosuch: '1', 'core.shutdown_timeout': 'x' })).toMatchObject({ error: "cannot set 'core.shutdown_timeout' to 'x': invalid integer (and 1 more errors)" });
    expect((await get('/1.0')).metadata.config).toEqual({});
  });

  it('is patched, replaced and guarded by its ETag; defaults are not stored', async () => {
    await setConfig({ 'user.foo': 'bar', 'images.auto_update_interval': '6', 'core.https_allowed_credentials': 'yes', 'core.shutdown_timeout': '7' });
    expect((await get('/1.0')).metadata.config).toEqual({ 'core.https_allowed_credentials': 'true', 'core.shutdown_timeout': '7', 'user.foo': 'bar' });
    expect(await send('PUT', '/1.0', { config: {} }, { ifMatch: 'x' })).toMatchObject({ status: 412 });

    const etag = (await get('/1.0')).headers.etag ?? '';
    expect(await send('PUT', '/1.0', { config: { 'core.proxy_http': 'http://p' } }, { ifMatch: etag })).toMatchObject({ status: 200 });
    expect((await get('/1.0')).metadata.config).toEqual({ 'core.proxy_http': 'http://p', 'user.foo': 'bar' });

    await setConfig({ 'core.proxy_http': '', 'user.foo': null });
    expect((await get('/1.0')).metadata.config).toEqual({});
  });

  it('never shows the trust password', async () => {
    await setConfig({ 'core.trust_password': 'sekret' });
    expect((await get('/1.0')).metadata.config).toEqual({ 'core.trust_password': true });

    await send('PUT', '/1.0', { config: { 'core.trust_password': true } });
    expect(await api.app.get(ServerConfig).isTrustPassword('sekret')).toBe(true);
    expect(await api.app.get(ServerConfig).isTrustPassword('other')).toBe(false);

    await setConfig({ 'core.trust_password': '' });
    expect((await get('/1.0')).metadata.config).toEqual({});
  });

  it('tells watchers and publishes config-updated', async () => {
    const seen: string[] = [];
    api.app.get(ServerConfig).onChange('images.remote_cache_expiry', (value) => seen.push(value));
    const events: string[] = [];
    const stop = api.app.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => events.push(json));

    await setConfig({ 'images.remote_cache_expiry': '3' });
    await setConfig({ 'images.remote_cache_expiry': '' });

    stop();
    expect(seen).toEqual(['3', '10']);
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ type: 'lifecycle', location: 'none', project: 'default', metadata: { action: 'config-updated', source: '/1.0', requestor: { username: 'root', protocol: 'unix', address: '@' } } });
  });
});

describe('the network', () => {
  let port: number;

  beforeEach(async () => {
    port = await freePort();
    await setConfig({ 'core.https_address': `127.0.0.1:${port}` });
  });

  it('moves with core.https_address, and keeps what works when a new address cannot be bound', async () => {
    expect((await get('/1.0')).metadata.environment.addresses).toEqual([`127.0.0.1:${port}`]);
    expect(await setConfig({ 'core.https_address': '192.0.2.77:1' })).toMatchObject({ status: 500, error: 'Cannot listen on network HTTPS socket "192.0.2.77:1": listen tcp 192.0.2.77:1: bind: cannot assign requested address' });
    expect(await setConfig({ 'core.https_address': '127.0.0.1:99999' })).toMatchObject({ status: 500, error: 'Cannot listen on network HTTPS socket "127.0.0.1:99999": listen tcp: address 99999: invalid port' });
    expect((await get('/1.0')).metadata.config['core.https_address']).toBe(`127.0.0.1:${port}`);
    expect((await send('GET', '/1.0', undefined, { tls: 'anonymous' })).metadata).toMatchObject({ auth: 'untrusted' });

    await setConfig({ 'core.https_address': '' });
    const refused = await new Promise((resolve) => connect(port, '127.0.0.1').on('error', () => resolve(true)).on('connect', () => resolve(false)));
    expect(refused).toBe(true);
  });

  it('speaks HTTP/1.1 with whoever can, and refuses who offers h2 alone', async () => {
    const negotiate = (...protocols: string[]) => new Promise((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: protocols });
      socket.on('secureConnect', () => { resolve(socket.alpnProtocol); socket.destroy(); });
      socket.on('error', () => resolve('refused'));
    });

    expect(await negotiate('h2', 'http/1.1')).toBe('http/1.1');
    expect(await negotiate('http/1.1')).toBe('http/1.1');
    expect(await negotiate('h2')).toBe('refused');
  });

  it('shows strangers little', async () => {
    const { metadata } = await send('GET', '/1.0', undefined, { tls: 'client' });
    expect(Object.keys(metadata)).toEqual(['api_extensions', 'api_status', 'api_version', 'auth', 'public', 'auth_methods']);
    for (const [method, path] of [['GET', '/1.0/certificates'], ['PUT', '/1.0'], ['DELETE', '/1.0'], ['GET', '/internal/ready'], ['GET', '/1.0/events'], ['POST', '/1.0/certificates']] as const) {
      expect(await send(method, path, {}, { tls: 'client' })).toMatchObject({ status: 403, error: 'not authorized' });
    }
    expect(await send('GET', '/nope', undefined, { tls: 'client' })).toMatchObject({ status: 404, error: 'not found' });
  });

  it('lets a client in by password, and out again when its certificate goes', async () => {
    await setConfig({ 'core.trust_password': 'pw' });
    expect(await send('POST', '/1.0/certificates', { type: 'client', password: 'no' }, { tls: 'client' })).toMatchObject({ status: 403 });
    expect(await send('POST', '/1.0/certificates', { password: 'pw' }, { tls: 'client' })).toMatchObject({ status: 400, error: 'Invalid certificate type' });
    expect(await send('POST', '/1.0/certificates', { type: 'client', password: 'pw' }, { tls: 'anonymous' })).toMatchObject({ status: 400 });
    const { fingerprint } = parsePem(client.certificate);
    expect(await send('POST', '/1.0/certificates', { type: 'client', password: 'pw' }, { tls: 'client' })).toMatchObject({ status: 201, headers: { location: `/1.0/certificates/${fingerprint}` } });
    expect(await send('POST', '/1.0/certificates', { type: 'client', password: 'pw' }, { tls: 'client' })).toMatchObject({ status: 400, error: 'Client is already trusted' });
    expect((await send('GET', `/1.0/certificates/${fingerprint.slice(0, 12)}`, undefined, { tls: 'client' })).metadata).toEqual({
      name: 'root@client', type: 'client', restricted: false, projects: [], certificate: client.certificate, fingerprint,
    });

    expect(await send('DELETE', `/1.0/certificates/${fingerprint}`, undefined)).toMatchObject({ status: 200 });
    expect(await send('GET', '/1.0/certificates', undefined, { tls: 'client' })).toMatchObject({ status: 403 });
    await setConfig({ 'core.trust_password': '' });
  });

  it('lets a client in by a token, once', async () => {
    const issued = await send('POST', '/1.0/certificates', { type: 'client', name: 'tok', token: true, restricted: true, projects: ['default'] });
    expect(issued).toMatchObject({ status: 202, metadata: { class: 'token', description: 'Executing operation', status: 'Running', resources: null, may_cancel: true } });
    expect(issued.metadata.metadata).toMatchObject({ addresses: [`127.0.0.1:${port}`], request: { name: 'tok', type: 'client', restricted: true, projects: ['default'], certificate: '', password: '', token: true } });
    const password = Buffer.from(JSON.stringify({ client_name: 'tok', secret: issued.metadata.metadata.secret })).toString('base64');

    expect(await send('POST', '/1.0/certificates', { type: 'client', password }, { tls: 'client' })).toMatchObject({ status: 201 });

    const { fingerprint } = parsePem(client.certificate);
    expect((await get(`/1.0/certificates/${fingerprint}`)).metadata).toMatchObject({ name: 'tok', restricted: true, projects: ['default'] });
    expect(await send('PATCH', `/1.0/certificates/${fingerprint}`, { name: 'x' }, { tls: 'client' })).toMatchObject({ status: 403, error: 'Only the certificate can be changed' });
    expect(await send('PUT', '/1.0', { config: {} }, { tls: 'client' })).toMatchObject({ status: 403 });
    expect(await send('GET', '/1.0', undefined, { tls: 'client' })).toMatchObject({ status: 200, metadata: { auth: 'trusted' } });
    await send('DELETE', `/1.0/certificates/${fingerprint}`, undefined);
    expect(await send('POST', '/1.0/certificates', { type: 'client', password }, { tls: 'client' })).toMatchObject({ status: 403, error: 'No matching certificate add operation found' });
  });
});

describe('/1.0/certificates', () => {
  it('keeps the trust store, in the words of LXD', async () => {
    const other = parsePem((await generateServerCertificate('other')).certificate);
    const certificate = other.x509.raw.toString('base64');
    const refusals: [unknown, string][] = [
      [{ type: 'client', name: 'n1', certificate: 'bad' }, 'illegal base64 data at input byte 0'],
      [{ type: 'client', name: 'n1', certificate: 'aGVsbG8K' }, 'Invalid certificate material: x509: malformed certificate'],
      [{ type: 'client', name: 'n1' }, 'Client is already trusted'],
      [{ type: 'bogus', certificate }, 'Invalid certificate type'],
      [{ type: 'server', name: 'a', token: true }, 'Tokens can only be issued for client certificates'],
      [{ type: 'client', token: true, certificate: 'x' }, "Can't use certificate if token is requested"],
    ];
    for (const [body, error] of refusals) expect(await send('POST', '/1.0/certificates', body)).toMatchObject({ status: 400, error });

    expect(await send('POST', '/1.0/certificates', { type: 'client', name: 'n1', certificate, projects: ['nope'] })).toMatchObject({ status: 404, error: 'Project not found' });
    expect(await send('POST', '/1.0/certificates', { type: 'client', name: 'n1', certificate, restricted: true, projects: ['default'] })).toMatchObject({ status: 201 });
    expect(await send('POST', '/1.0/certificates', { type: 'client', name: 'n1', certificate })).toMatchObject({ status: 409, error: 'Certificate already in trust store' });
    const url = `/1.0/certificates/${other.fingerprint}`;
    expect((await get('/1.0/certificates')).metadata).toEqual([url]);
    expect((await get('/1.0/certificates?recursion=1')).metadata).toMatchObject([{ name: 'n1', restricted: true }]);
    expect(await get('/1.0/certificates/zzz')).toMatchObject({ status: 404, error: 'Certificate not found' });

    expect(await send('PATCH', url, { name: 'n2' })).toMatchObject({ status: 200, metadata: {} });
    expect(await send('PATCH', url, { projects: ['nope'] })).toMatchObject({ status: 404, error: 'Project not found' });
    expect(await send('PUT', url, { name: 'n3' })).toMatchObject({ status: 403, error: 'The certificate type cannot be changed' });
    expect(await send('PUT', url, { name: 'n3', type: 'client' }, { ifMatch: 'x' })).toMatchObject({ status: 412 });
    const { etag } = (await get(url)).headers;
    expect(await send('PUT', url, { name: 'n3', type: 'client' }, { ifMatch: etag })).toMatchObject({ status: 200 });
    expect((await get(url)).metadata).toMatchObject({ name: 'n3', restricted: false, projects: [] });
    expect(await send('DELETE', url.slice(0, 25), undefined)).toMatchObject({ status: 200 });
    expect((await get('/1.0/certificates')).metadata).toEqual([]);
  });
});

describe('/internal', () => {
  it('serves the daemon\'s own commands and nothing else', async () => {
    expect(await get('/internal/ready')).toMatchObject({ status: 503 });
    api.app.get(DaemonControl).markReady();
    expect(await get('/internal/ready')).toMatchObject({ status: 200, metadata: {} });
    expect(await get('/internal/foo')).toMatchObject({ status: 404, error: 'not found' });
    const answer = (await send('POST', '/internal/sql', { database: 'global', query: 'SELECT name FROM projects' })).metadata;
    expect(Object.values(answer)).toEqual([[{ type: 'select', columns: ['name'], rows: [['default']], rows_affected: 0 }]]);
    expect(await get('/internal/sql?database=foo')).toMatchObject({ status: 400, error: 'Invalid database' });
    const forced: boolean[] = [];
    api.app.get(DaemonControl).onShutdown(async (force) => { forced.push(force); });
    expect(await send('PUT', '/internal/shutdown?force=true', undefined)).toMatchObject({ status: 200 });
    expect(forced).toEqual([true]);
  });
});

describe('GET /1.0/events', () => {
  const listen = (query: string): Promise<{ ws: WebSocket; seen: any[] }> => new Promise((resolve, reject) => {
    const seen: unknown[] = [];
    const ws = new WebSocket(`ws+unix://${socketPath}:/1.0/events${query}`, { perMessageDeflate: false });
    ws.on('message', (data) => seen.push(JSON.parse(data.toString())));
    ws.on('open', () => resolve({ ws, seen }));
    ws.on('unexpected-response', (_, r) => { let t = ''; r.on('data', (d: Buffer) => (t += d.toString())); r.on('end', () => reject(t)); });
    ws.on('error', () => {});
  });

  it('delivers by type and project', async () => {
    const { ws, seen } = await listen('?type=lifecycle');
    const all = await listen('?all-projects=true');
    const bus = api.app.get(EventBus);

    bus.lifecycle({ action: 'instance-created', source: '/1.0/instances/c1', project: 'default' });
    bus.lifecycle({ action: 'instance-created', source: '/1.0/instances/c2?project=web', project: 'web', context: { a: 1 } });
    bus.logging({ level: 'info', message: 'hello' });
    bus.operation({ id: 'x' }, 'web');

    await expect.poll(() => all.seen.length).toBe(4);
    expect(seen).toMatchObject([{ type: 'lifecycle', metadata: { action: 'instance-created', source: '/1.0/instances/c1' } }]);
    expect(Object.keys(all.seen[1])).toEqual(['type', 'timestamp', 'metadata', 'location', 'project']);
    expect(all.seen[2]).toMatchObject({ type: 'logging', metadata: { message: 'hello', level: 'info', context: {} }, location: 'none' });
    ws.terminate();
    all.ws.terminate();
  });

  it('refuses unknown types and projects as LXD does', async () => {
    await expect(listen('?type=foo')).rejects.toContain(`"error":"\\"foo\\" isn't a supported event type"`);
    await expect(listen('?project=nope')).rejects.toContain('"error_code":500,"error":"Project not found"');
  });
});
