import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createTls, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { WebSocketServer } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateClientCertificate } from '#client';

const top = resolve(import.meta.dirname, '../..');
const directory = mkdtempSync(`${tmpdir()}/roost-package-`);
const home = `${directory}/home`;
const certificate = generateClientCertificate('server');
let server: Server;
let url: string;
const seen: string[] = [];

function program(words: readonly string[], cwd = home): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, words, { cwd, env: { PATH: process.env['PATH'], NODE_TLS_REJECT_UNAUTHORIZED: '0', URL: url, PEM: certificate.certificate }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => { text += data.toString('utf8'); });
  return new Promise((done) => child.once('close', (code) => done({ code, text })));
}

/** The package as `npm pack` makes it, in a directory that knows nothing of this tree. */
describe('the package of the client', () => {
  beforeAll(async () => {
    expect(spawnSync(process.execPath, ['tools/pack-client.mjs', `${directory}/package`], { cwd: top, encoding: 'utf8' })).toMatchObject({ status: 0 });
    expect(spawnSync('npm', ['pack', '--silent', '--offline', '--pack-destination', directory], { cwd: `${directory}/package`, encoding: 'utf8' })).toMatchObject({ status: 0 });
    mkdirSync(`${home}/node_modules/roost-client`, { recursive: true });
    expect(spawnSync('sh', ['-c', `tar -xzf ${directory}/roost-client-*.tgz --strip-components=1 -C ${home}/node_modules/roost-client`]).status).toBe(0);
    for (const name of ['ws', 'zod', '@types']) symlinkSync(`${top}/node_modules/${name}`, `${home}/node_modules/${name}`);
    writeFileSync(`${home}/package.json`, '{"type":"module"}');
    server = createTls({ cert: certificate.certificate, key: certificate.key }, (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      const path = request.url!.split('?')[0];
      if (path === '/1.0/slow') return;
      const operation = { type: 'async', operation: '/1.0/operations/1', metadata: { id: '1', metadata: null } };
      const answer = request.method === 'POST' ? operation : path === '/1.0/operations/1/wait' ? { type: 'sync', metadata: { status_code: 200, metadata: { done: 'ja\u00e4' } } }
        : path === '/1.0/missing' ? { type: 'error', error: 'No such thing', error_code: 404 } : { type: 'sync', metadata: { api_version: '1.0' } };
      response.writeHead(path === '/1.0/missing' ? 404 : request.method === 'POST' ? 202 : 200, { etag: 'abc' }).end(JSON.stringify(answer));
    });
    new WebSocketServer({ server, path: '/1.0/events' }).on('connection', (socket) => socket.send('{"type":"lifecycle","metadata":{}}'));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('is imported by a program, with its types', async () => {
    writeFileSync(`${home}/program.ts`, `
      import { ApiClient, followOperation, readText, type ApiAnswer, type Remote } from 'roost-client';
      import { HttpTransport } from 'roost-client/http';
      import { WebApiClient } from 'roost-client/browser';
      const remote: Partial<Remote> = { addr: 'x' };
      const api = new ApiClient({ url: process.env['URL']!, certificate: process.env['PEM']! });
      const answer: ApiAnswer<{ api_version: string }> = await api.call<{ api_version: string }>('GET', '/1.0');
      const operation = await followOperation(api, await api.call('POST', '/1.0/instances', { body: {} }));
      const code: number = operation.status_code;
      console.log(answer.metadata.api_version, answer.etag, code, typeof readText, typeof HttpTransport, typeof WebApiClient, remote.addr);
      api.close();
    `);
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext.disposable', '--types', 'node', 'program.ts'];
    expect(await program([`${top}/node_modules/typescript-native/bin/tsc`, ...options])).toEqual({ code: 0, text: '' });
    writeFileSync(`${home}/wrong.ts`, "import { ApiClient } from 'roost-client'; new ApiClient({ socket: 1 });");
    expect((await program([`${top}/node_modules/typescript-native/bin/tsc`, ...options.slice(0, -1), 'wrong.ts'])).text).toContain('TS');
    expect(await program(['--no-warnings', 'program.ts'])).toEqual({ code: 0, text: '1.0 abc 200 function function function x\n' });
  });

  it('has a client for browsers that needs nothing but what they have', async () => {
    // A realm of its own, without Node: neither process nor Buffer nor require.
    const program_ = `
      import { createContext, SourceTextModule } from 'node:vm';
      import { readFileSync } from 'node:fs';
      const context = createContext({ fetch, WebSocket, AbortController, AbortSignal, TextDecoder, TextEncoder, URL, setTimeout, clearTimeout, setInterval, clearInterval, Uint8Array, base: process.env.URL });
      const bundle = new SourceTextModule(readFileSync('node_modules/roost-client/browser.js', 'utf8'), { context });
      await bundle.link(() => { throw new Error('it imports something'); });
      await bundle.evaluate();
      context.client = bundle.namespace;
      const use = new SourceTextModule(\`
        const { WebApiClient, AppError } = client;
        const api = new WebApiClient(base + '/', { project: 'p q', idleTimeoutMs: { read: 200, write: 200 } });
        const heard = Promise.withResolvers();
        const events = await api.events({ types: ['lifecycle'] }, heard.resolve);
        const said = [(await api.get('/1.0')).api_version, (await api.call('GET', '/1.0')).etag, (await api.post('/1.0/instances', { name: 'c1' })).done, (await heard.promise).type];
        events.close();
        await events.closed;
        for (const path of ['/1.0/missing', '/1.0/slow']) said.push(await api.get(path).then(() => 'none', (error) => (error instanceof AppError) + ' ' + error.kind + ' ' + error.message.replace(base, '')));
        globalThis.said = said;
      \`, { context });
      await use.link(() => { throw new Error('it imports something'); });
      await use.evaluate();
      console.log(JSON.stringify(context.said));
    `;
    writeFileSync(`${home}/browser.js`, program_);
    const { code, text } = await program(['--no-warnings', '--experimental-vm-modules', 'browser.js']);
    expect({ code, said: code === 0 ? JSON.parse(text) as unknown : text }).toEqual({ code: 0, said: ['1.0', 'abc', 'ja\u00e4', 'lifecycle', 'true not-found No such thing', 'true unavailable Get "/1.0/slow?project=p%20q": no data for 0.2 seconds'] });
    expect(seen).toContain('POST /1.0/instances?project=p%20q');
    expect(readFileSync(`${home}/node_modules/roost-client/browser.js`, 'utf8')).not.toMatch(/\b(process|Buffer|require)\b\s*[.(]/);
  });
});
