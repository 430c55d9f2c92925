import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readText } from '#client';
import { tree } from '../commands/tree.js';
import { runCommandLine } from '../run.js';
import { runInProcess } from '../testing/in-process.js';
import { Terminal, type Streams } from './terminal.js';

const before = process.env['ROOST_CONF'];
let directory: string;
let server: Server;
const received: Record<string, string> = {};
const large = Buffer.alloc(3_000_000, 'x');

beforeEach(async () => {
  directory = mkdtempSync(`${tmpdir()}/roost-transfers-`);
  process.env['ROOST_CONF'] = directory;
  writeFileSync(`${directory}/config.yml`, `default-remote: near\nremotes:\n  near:\n    addr: unix://${directory}/socket\n    public: false\naliases: {}\n`);
  server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!;
    if (request.method === 'GET' && path.endsWith('/files')) return void response.writeHead(200, { 'x-lxd-type': 'file', 'x-lxd-mode': '0644', 'content-length': String(large.length) }).end(large);
    void readText(request).then((text) => {
      if (request.method === 'POST') received[path] = text;
      response.end(JSON.stringify({ type: 'sync', metadata: path === '/1.0' ? { api_extensions: ['backup_override_name'], auth: 'trusted', environment: {} } : null }));
    });
  });
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
  if (before === undefined) delete process.env['ROOST_CONF']; else process.env['ROOST_CONF'] = before;
});

it('has written all of a file when it is done, however slowly somebody takes it', async () => {
  let taken = 0;
  const stdout = new Writable({ highWaterMark: 1000, write: (chunk: Buffer, _encoding, done) => setTimeout(() => {
    taken += chunk.length;
    done();
  }, 1) });
  const quiet = { isTTY: false, on: () => undefined, write: () => true };
  expect(await runCommandLine(tree, ['roost', 'file', 'pull', 'c1/x', '-'], new Terminal({ stdin: quiet, stdout, stderr: quiet } as unknown as Streams))).toBe(0);
  expect(taken).toBe(large.length);
});

it.each([
  ['/1.0/instances/c1/files', ['file', 'push', '@', 'c1/root/x']], ['/1.0/instances', ['import', '@', 'c2']], ['/1.0/storage-pools/p/volumes/custom', ['storage', 'volume', 'import', 'p', '@', 'v']],
  ['/1.0/images', ['image', 'import', '@']],
] as const)('sends to %s all that comes out of a pipe, whose length nobody knows', async (path, words) => {
  const pipe = `${directory}/pipe`;
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'echo from the pipe >"$1"', 'sh', pipe], { stdio: 'ignore' });
  await runInProcess('roost', ...words.map((word) => (word === '@' ? pipe : word)));
  writer.kill();
  expect(received[path]).toBe('from the pipe\n');
});
