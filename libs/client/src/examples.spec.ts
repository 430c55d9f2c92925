import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { WebSocketServer } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as client from './index.js';

/** Every example of README.md is run, in order, against a server that answers as one does. */
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/## ([^\n]+)\n(?:(?!\n## )[\s\S])*?```ts\n([\s\S]*?)```/g)].map((match) => [match[1]!, match[2]!] as const);
const directory = mkdtempSync(`${tmpdir()}/roost-examples-`);
const socketPath = `${directory}/socket`;
const certificate = client.generateClientCertificate('server');
const seen: string[] = [];
let looks = 0;
/** Resolved when the example has printed something: an operation lasts until then. */
let spoken = Promise.withResolvers<void>();

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url!.split('?')[0]!;
  seen.push(`${request.method} ${path}${request.headers['if-match'] === undefined ? '' : ` if ${request.headers['if-match']}`}`);
  const send = (body: object, status = 200): void => { response.writeHead(status, { 'content-type': 'application/json', etag: 'e1' }).end(JSON.stringify(body)); };
  const operation = { id: '1', status: 'Running', status_code: 103, metadata: { create_progress: `${++looks}%` }, err: '' };
  if (path.endsWith('/files') && request.method === 'GET') return void response.end('c1\n');
  if (path === '/1.0/instances' && request.method === 'POST') return send({ type: 'async', operation: '/1.0/operations/1', metadata: { ...operation, metadata: null } }, 202);
  if (path === '/1.0/operations/1/wait') return void spoken.promise.then(() => send({ type: 'sync', metadata: { ...operation, status: 'Success', status_code: 200 } }));
  if (path === '/1.0/operations/1') return send({ type: 'sync', metadata: operation });
  send({ type: 'sync', metadata: path === '/1.0/instances' ? ['/1.0/instances/c1'] : { config: {}, description: '' } });
}

const plain = createServer(answer);
const tls = createTls({ cert: certificate.certificate, key: certificate.key }, answer);
const sockets = new WebSocketServer({ server: plain, path: '/1.0/events' });

beforeAll(async () => {
  sockets.on('connection', (socket) => socket.send(JSON.stringify({ type: 'lifecycle', metadata: {} })));
  await new Promise<void>((resolve) => plain.listen(socketPath, resolve));
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  for (const one of [plain, tls]) {
    one.closeAllConnections();
    one.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

const expected: Readonly<Record<string, (printed: readonly unknown[]) => void>> = {
  'Read and change': (printed) => {
    expect(printed).toEqual([['/1.0/instances/c1']]);
    expect(seen).toContain('PUT /1.0/profiles/small if e1');
  },
  'Operations': (printed) => {
    expect(printed.at(-1)).toBe('Success');
    expect(printed.length).toBeGreaterThan(1);
  },
  'Events': (printed) => expect(printed).toEqual(['lifecycle']),
  'A server on the network': (printed) => expect(printed).toEqual([['/1.0/instances/c1']]),
  'Files and other streams': (printed) => {
    expect(printed).toEqual(['c1\n']);
    expect(seen.at(-1)).toBe('POST /1.0/instances/c1/files');
  },
};

describe('README.md', () => {
  it('has an example for each chapter', () => { expect(examples.map(([title]) => title)).toEqual(Object.keys(expected)); });

  it.each(examples)('%s', async (title, code) => {
    const printed: unknown[] = [];
    spoken = Promise.withResolvers();
    const print = (value: unknown): void => {
      printed.push(value);
      spoken.resolve();
    };
    const names = { ...client, socketPath, directory, parse, serverUrl: `https://127.0.0.1:${(tls.address() as AddressInfo).port}`, serverCertificate: certificate.certificate, print };
    const body = stripTypeScriptTypes(`async function example() {\n${code}\n}`, { mode: 'strip' });
    // oxlint-disable-next-line no-new-func
    await (new Function(...Object.keys(names), `${body}\nreturn example();`) as (...values: unknown[]) => Promise<void>)(...Object.values(names));
    expected[title]!(printed);
  });
});
