import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { WebSocketServer } from 'ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generateClientCertificate } from '#client';
import { runInProcess, type Said } from './testing/in-process.js';

/** Whatever a server does, a command ends in time with an error that says what was wrong, and leaves no half file. */
let directory: string;
const open: (Server | ReturnType<typeof createTls>)[] = [];
const sockets = new Set<Socket>();
const before = { ...process.env };

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/roost-hostile-`);
  Object.assign(process.env, { ROOST_CONF: directory, ROOST_SOCKET: `${directory}/socket`, ROOST_TIMEOUT: '1' });
  writeFileSync(`${directory}/config.yml`, 'default-remote: local\nremotes:\n  local:\n    addr: unix://\n    public: false\naliases: {}\n');
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of open.splice(0)) await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
  for (const key of ['ROOST_CONF', 'ROOST_SOCKET', 'ROOST_TIMEOUT']) if (before[key] === undefined) delete process.env[key]; else process.env[key] = before[key];
});

const run = (...words: string[]): Promise<Said> => runInProcess('roost', ...words);

/** A server that does this with each connection. */
async function raw(onConnection: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const info = { type: 'sync', metadata: { api_extensions: ['projects'], auth: 'trusted', environment: {} } };
const send = (response: ServerResponse, body: unknown, status = 200): void => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)); };

/** A server that is honest until somebody asks for more than who it is. */
async function http(answer: Answer): Promise<void> {
  const server = createHttp((request, response) => (request.url?.split('?')[0] === '/1.0' ? send(response, info) : answer(request, response)));
  server.on('connection', (socket) => sockets.add(socket));
  open.push(server);
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
}

describe('a server that', () => {
  it('is not there', async () => {
    const result = await run('list');
    expect(result.code).toBe(1);
    expect(result.err).toMatch(/^Error: Get "http:\/\/unix.socket\/1.0": dial unix .*connect: no such file or directory\nIs the daemon running\?/);
  });

  it('accepts and says nothing', async () => {
    await raw(() => undefined);
    const started = performance.now();
    const result = await run('list');
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain('no data for 1 seconds');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it.each([['nothing'], ['HTTP/1.1 200 OK\r\n'], ['SSH-2.0-OpenSSH_9\r\n'], ['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"type"']])('dies after %j', async (text) => {
    await raw((socket) => socket.end(text === 'nothing' ? '' : text));
    const result = await run('list');
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toMatch(/^Error: .+/);
  });

  it.each([['<html>no</html>'], ['{"type":"sync"'], ['\u0000\u0001\u0002']])('answers %j', async (body) => {
    await raw((socket) => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`));
    expect(await run('list')).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^Error: .*(not JSON)/) as string });
  });

  it.each([[null], [5], ['text'], [{}], [[]], [[null]], [[{ name: 5 }]]])('sends %j for a list', async (metadata) => {
    await http((_request, response) => send(response, { type: 'sync', metadata }));
    const result = await run('list');
    expect([0, 1]).toContain(result.code);
    if (result.code === 1) expect(result.err).toMatch(/^Error: .+\n/);
    expect(result.err).not.toContain('    at ');
  });

  it('refuses', async () => {
    await http((_request, response) => send(response, { type: 'error', error: 'No room', error_code: 503 }, 503));
    expect(await run('list')).toEqual({ code: 1, out: '', err: 'Error: No room\n' });
  });

  it('says nothing while it should say how an operation goes', async () => {
    await http((request, response) => {
      if (request.method === 'DELETE') send(response, { type: 'async', operation: '/1.0/operations/1', metadata: { id: '1', metadata: null } }, 202);
      else if (request.url?.startsWith('/1.0/instances/')) send(response, { type: 'sync', metadata: { status_code: 102, status: 'Stopped' } });
    });
    process.env['ROOST_TIMEOUT'] = '1';
    const result = await run('delete', 'c1');
    expect(result.code).toBe(1);
    expect(result.err).toContain('no data for');
  }, 60_000);

  it('breaks off in the middle of a file: nothing is left of it', async () => {
    await http((_request, response) => {
      response.writeHead(200, { 'content-length': '1000', 'x-lxd-type': 'file', 'x-lxd-mode': '0644' });
      response.write('half');
      setTimeout(() => response.destroy(), 50);
    });
    const result = await run('file', 'pull', 'c1/etc/passwd', `${directory}/passwd`);
    expect(result.code).toBe(1);
    expect(readdirSync(directory).filter((name) => name.startsWith('passwd'))).toEqual([]);
  });

  it('sends names that lead elsewhere: nothing is written outside', async () => {
    await http((request, response) => {
      if (request.url?.includes('passwd')) return void response.writeHead(200, { 'x-lxd-type': 'file', 'x-lxd-mode': '0644' }).end('x');
      response.writeHead(200, { 'x-lxd-type': 'directory', 'x-lxd-mode': '0755' }).end(JSON.stringify({ type: 'sync', metadata: ['../../passwd'] }));
    });
    const result = await run('file', 'pull', '-r', 'c1/etc', `${directory}/in`);
    expect(result).toMatchObject({ code: 1, err: 'Error: Invalid file name "../../passwd"\n' });
    expect(existsSync(`${directory}/passwd`)).toBe(false);
  });

  it('ends its stream of events, in which there was rubbish', async () => {
    await http(() => undefined);
    const events = new WebSocketServer({ server: open.at(-1) as HttpServer, path: '/1.0/events' });
    events.on('connection', (socket) => {
      for (const text of ['rubbish', '5', 'null', '{"type":"lifecycle","metadata":{"action":"a"}}']) socket.send(text);
      socket.close();
    });
    expect(await run('monitor')).toEqual({ code: 1, out: 'metadata:\n  action: a\ntype: lifecycle\n\n\n', err: 'Error: The server has ended the stream of events\n' });
    expect((await run('monitor', '--pretty')).code).toBe(1);
  });

  /** What takes more than one answer: files, streams, operations, two servers. `@` is a directory. */
  const long = [
    'export c1 @/file', 'export c1 -', 'image export img @/file', 'storage volume export p v @/file', 'file pull c1/etc/passwd @/file', 'file pull -r c1/etc @/file', 'file push @/config.yml c1/x', 'file push -r @ c1/x', 'import @/config.yml',
    'image import @/config.yml', 'storage volume import p @/config.yml', 'publish c1 --force', 'exec c1 -- true', 'exec c1 -t -- true', 'console c1', 'console c1 --show-log', 'monitor', 'file mount c1/x @', 'copy c1 c2', 'copy c1 again:c2 --mode pull',
    'copy c1 again:c2 --mode push', 'copy c1 again:c2 --mode relay', 'move c1 again:c2 --stateless', 'storage volume copy p/v again:p/v --mode relay', 'image copy img again:', 'image copy img again: --mode push', 'image copy img again: --mode relay', 'init again:img c1',
    'snapshot c1', 'restore c1 s1', 'info c1 --resources', 'config show c1 --expanded', 'config set c1 a=b', 'profile device list p', 'network list-leases n', 'storage volume list p', 'cluster list', 'warning list', 'operation list', 'list --all-projects', 'top --once', 'history c1', 'explain c1',
    'wait c1 --timeout 1', 'query /1.0/x',
  ];
  const runAll = async (): Promise<void> => {
    writeFileSync(`${directory}/config.yml`, `default-remote: local\nremotes:\n  again:\n    addr: unix://${directory}/socket\n    public: false\n  local:\n    addr: unix://\n    public: false\naliases: {}\n`);
    const before = readdirSync(directory).sort();
    const said = await Promise.all(long.map(async (line) => [line, await run(...line.replaceAll('@', directory).split(' '))] as const));
    for (const [line, { err }] of said) {
      expect(err, line).not.toMatch(/ {4}at |\[object/);
      expect(err.split('\n').filter((text) => text.startsWith('Error: ')).length, `${line}: ${err}`).toBeLessThanOrEqual(1);
    }
    expect(readdirSync(directory).sort()).toEqual(before);
    const silent = said.filter(([, { code, err }]) => code !== 0 && !/^Error: .+/m.test(err)).map(([line]) => line);
    expect(silent).toEqual([]);
  };

  it.each([[null], [5], ['text'], [{}], [[]], [[null]], [{ metadata: { fds: {} } }]])('sends %j whatever it is asked for', async (metadata) => {
    await http((request, response) => {
      request.resume();
      send(response, { type: request.method === 'GET' ? 'sync' : 'async', operation: '/1.0/operations/1', metadata }, request.method === 'GET' ? 200 : 202);
    });
    await runAll();
  }, 60_000);

  it.each([
    ['says no more', (): void => undefined], ['goes away', (_request: IncomingMessage, response: ServerResponse): void => void response.destroy()],
    ['sends what is no JSON', (request: IncomingMessage, response: ServerResponse): void => void (request.resume(), response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'))],
    ['sends half of what it announces', (request: IncomingMessage, response: ServerResponse): void => {
      request.resume();
      response.writeHead(200, { 'content-length': '100', 'x-lxd-type': 'file' }).write('{"type"');
      setTimeout(() => response.destroy(), 20);
    }],
  ])('says who it is and then %s', async (_what, answer) => {
    await http(answer);
    await runAll();
  }, 60_000);

  it('shows another certificate than the one it was known by', async () => {
    const [mine, other] = [generateClientCertificate('mine'), generateClientCertificate('other')];
    const server = createTls({ cert: mine.certificate, key: mine.key }, (_request, response) => send(response, info));
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    writeFileSync(`${directory}/config.yml`, `default-remote: far\nremotes:\n  far:\n    addr: https://127.0.0.1:${port}\n    protocol: lxd\n    public: false\naliases: {}\n`);
    const pin = async (certificate: string): Promise<void> => {
      const { ClientConfig } = await import('#client');
      ClientConfig.load({ directory, socketPath: '', parse: () => ({}) }).pinServerCertificate('far', certificate);
    };
    await pin(other.certificate);
    expect(await run('list')).toMatchObject({ code: 1, err: expect.stringContaining('x509: certificate signed by unknown authority') as string });
    await pin(mine.certificate);
    expect((await run('query', '/1.0')).code).toBe(0);
  });
});
