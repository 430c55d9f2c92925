import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { tree } from './commands/tree.js';
import { runCommandLine } from './run.js';
import { Terminal, type Streams } from './terminal/terminal.js';

const instance = {
  name: 'c1', description: '', status: 'Running', status_code: 103, type: 'container', architecture: 'x86_64', location: 'none', project: 'default', ephemeral: false, stateful: false,
  created_at: '2026-01-01T00:00:00Z', last_used_at: '2026-01-01T00:00:00Z', config: { 'image.os': 'x' }, devices: {}, profiles: ['default'], snapshots: null, backups: null,
  expanded_config: { 'image.os': 'x' }, expanded_devices: { root: { type: 'disk', path: '/', pool: 'default' } },
  state: {
    status: 'Running', status_code: 103, pid: 1, processes: 1, cpu: { usage: 1 }, memory: { usage: 1, usage_peak: 1, swap_usage: 0, swap_usage_peak: 0 }, disk: {},
    network: { eth0: { type: 'broadcast', state: 'up', hwaddr: '', host_name: '', mtu: 1500, counters: {}, addresses: [{ family: 'inet', address: '10.0.0.2', netmask: '24', scope: 'global' }, { family: 'inet6', address: 'fe80::1', netmask: '64', scope: 'link' }] } },
  },
};

const answers: Readonly<Record<string, unknown>> = {
  '/1.0': { config: {}, api_extensions: [], auth: 'trusted', environment: { server_clustered: false } },
  '/1.0/instances': [instance],
  '/1.0/instances/c1': instance,
};

/** What is typed most, and the ways of Node that it goes. */
const lines: readonly (readonly string[])[] = [
  ['list'], ['list', '--format', 'csv', '-c', 'ns4'], ['list', '--format', 'json', 'c1'], ['config', 'get', 'c1', 'image.os'], ['config', 'show', 'c1'], ['--help'], ['list', '--help'],
];

/**
 * Goes through common commands once, with a server that answers here. Functions are compiled when they are called for the first time; what was compiled
 * now, while the image of the heap is made, need not be in each process that starts from it.
 */
export async function rehearse(): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/roost-rehearsal-`);
  const server = createServer((socket) => socket.once('data', (data) => {
    const path = /^GET ([^ ?]+)/.exec(data.toString('latin1'))?.[1] ?? '';
    const body = JSON.stringify({ type: 'sync', status: 'Success', status_code: 200, metadata: answers[path] });
    // Go's server sends long answers in chunks, Node's at their length.
    const long = path !== '/1.0';
    const head = long ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
    socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${head}\r\n\r\n${long ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body}`);
  }));
  const before = { ...process.env };
  try {
    writeFileSync(`${directory}/config.yml`, 'default-remote: local\nremotes:\n  local:\n    addr: unix://\n    public: false\naliases: {}\n');
    await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
    Object.assign(process.env, { ROOST_CONF: directory, ROOST_SOCKET: `${directory}/socket` });
    const nowhere = { isTTY: false, on: () => undefined, write: () => true };
    const streams = { stdin: nowhere, stdout: nowhere, stderr: nowhere } as unknown as Streams;
    for (const words of lines) await runCommandLine(tree, ['roost', ...words], new Terminal(streams));
  } finally {
    await new Promise((resolve) => server.close(resolve));
    for (const key of ['ROOST_CONF', 'ROOST_SOCKET']) if (before[key] === undefined) delete process.env[key]; else process.env[key] = before[key];
    rmSync(directory, { recursive: true, force: true });
  }
  // An image cannot hold what waits to be told that something is gone: let it go now, and be told.
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
