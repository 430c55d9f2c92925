import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readText } from '#client';
import { runCommandLine } from '../../run.js';
import { Terminal, type Streams } from '../../terminal/terminal.js';
import { tree } from '../tree.js';

const addresses = ['10.137.0.1:8443', '10.137.0.2:8443', '10.137.0.3:8443'];
const fingerprint = 'f'.repeat(64);
const before = { ...process.env };
let directory: string;
let servers: Server[];
/** Addresses the local server was told to fetch from, in order. */
let asked: string[];
/** Of those, which answer. */
let good: string[];

async function listen(name: string, answer: (request: IncomingMessage, path: string) => Promise<unknown>): Promise<void> {
  const server = createServer((request, response: ServerResponse) => {
    void answer(request, request.url!.split('?')[0]!).then((body) => {
      const found = body as { type?: string } | undefined;
      response.writeHead(found === undefined ? 404 : found.type === 'async' ? 202 : 200).end(JSON.stringify(found ?? { type: 'error', error: 'Not found', error_code: 404 }));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(`${directory}/${name}`, resolve));
}

beforeEach(async () => {
  directory = mkdtempSync(`${tmpdir()}/roost-source-`);
  [servers, asked, good] = [[], [], []];
  writeFileSync(`${directory}/config.yml`, `default-remote: local\nremotes:\n  far:\n    addr: unix://${directory}/far\n    public: false\n  local:\n    addr: unix://${directory}/near\n    public: false\naliases: {}\n`);
  Object.assign(process.env, { ROOST_CONF: directory, ROOST_SOCKET: `${directory}/near` });
  const info = { api_extensions: [], auth: 'trusted', environment: { addresses, certificate: 'PEM' } };
  const image = { fingerprint, type: 'container', public: true, properties: {}, aliases: [{ name: 'img' }] };
  await listen('far', async (_request, path) => (path === '/1.0' ? { type: 'sync', metadata: info } : path === `/1.0/images/${fingerprint}` ? { type: 'sync', metadata: image }
    : path === '/1.0/images/aliases/img' ? { type: 'sync', metadata: { target: fingerprint, type: 'container' } } : undefined));
  await listen('near', async (request, path) => {
    if (path === '/1.0') return { type: 'sync', metadata: info };
    if (path === '/1.0/instances/c1') return { type: 'sync', metadata: { expanded_devices: { eth0: { type: 'nic' } } } };
    if (path === '/1.0/instances' || path === '/1.0/images') {
      asked.push((JSON.parse(await readText(request)) as { source: { server: string } }).source.server);
      return { type: 'async', operation: `/1.0/operations/${asked.length}`, metadata: { id: String(asked.length), metadata: null } };
    }
    const number = /^\/1\.0\/operations\/(\d+)\/wait$/.exec(path)?.[1];
    if (number === undefined) return undefined;
    const server = asked[Number(number) - 1]!;
    return { type: 'sync', metadata: { id: number, status_code: good.includes(server) ? 200 : 400, err: `no route to ${server}`, metadata: null, resources: { instances: ['/1.0/instances/c1'] } } };
  });
});

afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(directory, { recursive: true, force: true });
  for (const key of ['ROOST_CONF', 'ROOST_SOCKET']) if (before[key] === undefined) delete process.env[key]; else process.env[key] = before[key];
});

async function run(...words: string[]): Promise<{ code: number; err: string }> {
  let err = '';
  const stream = { isTTY: false, on: () => undefined, write: () => true };
  const stderr = { ...stream, write: (text: string) => { err += text; return true; } };
  const code = await runCommandLine(tree, ['roost', ...words], new Terminal({ stdin: { ...stream, isTTY: true }, stdout: stream, stderr } as unknown as Streams));
  return { code, err };
}

const all = addresses.map((one) => `https://${one}`);

describe('an image of another server', () => {
  it('is fetched from the first of its addresses that answers', async () => {
    good = [all[1]!, all[2]!];
    expect(await run('init', 'far:img', 'c1', '-q')).toMatchObject({ code: 0 });
    expect(asked).toEqual(all.slice(0, 2));
    asked = [];
    expect(await run('image', 'copy', 'far:img', 'local:', '-q')).toMatchObject({ code: 0 });
    expect(asked).toEqual(all.slice(0, 2));
  });

  it('is not had where no address answers, and each says why', async () => {
    const { code, err } = await run('init', 'far:img', 'c1', '-q');
    expect(code).toBe(1);
    expect(asked).toEqual(all);
    for (const one of all) expect(err).toContain(` - ${one}: no route to ${one}\n`);
  });
});
