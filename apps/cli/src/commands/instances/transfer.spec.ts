import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runInProcess } from '../../testing/in-process.js';

const before = process.env['ROOST_CONF'];
let directory: string;
let servers: Server[];
/** Method and path of each request, by server. */
let asked: Record<string, string[]>;
/** What a server refuses, and what it says then. */
let refused: Record<string, string>;

async function listen(name: string, addresses: readonly string[]): Promise<void> {
  const log = asked[name] = [] as string[];
  const server = createServer((request, response) => {
    const what = `${request.method} ${request.url!.split('?')[0]!}`;
    log.push(what);
    request.resume();
    const send = (body: object, status = 200): void => { response.writeHead(status).end(JSON.stringify(body)); };
    const complaint = refused[`${name} ${what}`];
    if (complaint !== undefined) send({ type: 'error', error: complaint, error_code: 400 }, 400);
    else if (what === 'GET /1.0') send({ type: 'sync', metadata: { api_extensions: [], auth: 'trusted', environment: { addresses } } });
    else if (request.method === 'GET') send({ type: 'sync', metadata: { name: 'c1', status: 'Stopped', config: {}, devices: {}, profiles: [] } });
    else if (request.method === 'POST') send({ type: 'async', operation: `/1.0/operations/${name}`, metadata: { id: name, metadata: { control: 'x', fs: 'y' } } }, 202);
    else send({ type: 'sync', metadata: null });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(`${directory}/${name}`, resolve));
}

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/roost-transfer-`);
  [servers, asked, refused] = [[], {}, {}];
  process.env['ROOST_CONF'] = directory;
  const remotes = ['near', 'far'].map((name) => `  ${name}:\n    addr: unix://${directory}/${name}\n    public: false\n`).join('');
  writeFileSync(`${directory}/config.yml`, `default-remote: near\nremotes:\n${remotes}aliases: {}\n`);
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(directory, { recursive: true, force: true });
  if (before === undefined) delete process.env['ROOST_CONF']; else process.env['ROOST_CONF'] = before;
});

describe('a copy between servers', () => {
  it.each([
    ['pull', 'far POST /1.0/instances', 'near', 'Failed instance creation: No'],
    ['push', 'near POST /1.0/instances/c1', 'far', 'Failed instance migration: No'],
    ['relay', 'near POST /1.0/instances/c1', 'far', 'No'],
  ])('that one side refuses (%s) ends what the other has begun', async (mode, refusal, waiting, complaint) => {
    await Promise.all([listen('near', ['10.0.0.1:8443']), listen('far', ['10.0.0.2:8443'])]);
    refused[refusal] = 'No';
    expect(await runInProcess('roost', 'copy', 'near:c1', 'far:c1', '--mode', mode)).toEqual({ code: 1, out: '', err: `Error: ${complaint}\n` });
    expect(asked[waiting]).toContain(`DELETE /1.0/operations/${waiting}`);
  });

  it('tells what each address of the source came to', async () => {
    await Promise.all([listen('near', ['10.0.0.1:8443', '10.0.0.3:8443']), listen('far', [])]);
    refused['far POST /1.0/instances'] = 'No';
    expect((await runInProcess('roost', 'copy', 'near:c1', 'far:c1')).err).toBe('Error: Failed instance creation:\n - https://10.0.0.1:8443: No\n - https://10.0.0.3:8443: No\n');
  });
});
