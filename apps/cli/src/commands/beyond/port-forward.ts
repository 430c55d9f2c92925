import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type { Operation } from '#api-types';
import { internal, invalid, messageOf } from '#kernel';
import type { Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { binary } from '../../terminal/sockets.js';

interface Forward { readonly host: string; readonly local: number; readonly remote: number }

/** Each connection is one command in the instance that talks to the port: nothing has to listen or be opened there. */
export const portForward: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const forwards = invocation.args.slice(1).map(parse);
  await server.get(url(['instances', name, 'state']));
  const listeners: NetServer[] = [];
  try {
    for (const { host, local, remote } of forwards) {
      const listener = createServer((connection) => { void relay(server, name, remote, connection, (complaint) => invocation.note(complaint)); });
      await new Promise<void>((resolve, reject) => listener.once('error', (error) => reject(internal(`listen ${host}:${local}: ${messageOf(error)}`))).listen(local, host, resolve));
      listeners.push(listener);
      const address = listener.address();
      invocation.print(`Forwarding ${host}:${typeof address === 'object' && address !== null ? address.port : local} to port ${remote} of "${name}"`);
    }
    await new Promise<void>((resolve) => {
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
    });
  } finally {
    for (const listener of listeners) listener.close();
  }
};

/** `8080:80`, `0.0.0.0:8080:80`, `[::1]:8080:80` */
function parse(text: string): Forward {
  const match = /^(?:(\[[^\]]*\]|[^:]*):)?(\d+):(\d+)$/.exec(text);
  const port = (digits: string | undefined): number => {
    const value = Number(digits);
    if (match === null || value > 65535) throw invalid(`${JSON.stringify(text)} is not [<address>:]<port>:<port>`);
    return value;
  };
  return { host: match?.[1]?.replace(/^\[|\]$/g, '') || '127.0.0.1', local: port(match?.[2]), remote: port(match?.[3]) };
}

const talk = (port: number): string => `if command -v nc >/dev/null; then exec nc 127.0.0.1 ${port}; elif command -v socat >/dev/null; then exec socat - TCP:127.0.0.1:${port}; elif command -v bash >/dev/null; then exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && { cat <&3 & cat >&3; wait; }'; else echo 'it has none of nc, socat and bash' >&2; exit 127; fi`;

async function relay(server: Server, instance: string, port: number, connection: Socket, complain: (text: string) => void): Promise<void> {
  connection.pause();
  connection.on('error', () => connection.destroy());
  try {
    const body = { command: ['sh', '-c', talk(port)], 'wait-for-websocket': true, interactive: false, environment: {}, width: 0, height: 0, 'record-output': false, user: 0, group: 0, cwd: '' };
    const answer = await server.api.call<Operation>('POST', url(['instances', instance, 'exec']), { body });
    const { fds } = answer.metadata.metadata as unknown as { fds: Record<string, string> };
    const open = (fd: string, prepare: Parameters<typeof server.api.webSocket>[1]) => server.api.webSocket(`${answer.operation.split('?')[0]}/websocket?secret=${encodeURIComponent(fds[fd]!)}`, prepare);
    const control = await open('control', (socket) => { socket.on('error', () => undefined); });
    const output = await open('1', (socket) => {
      socket.on('message', (data, isBinary) => {
        if (!isBinary) return void connection.end();
        if (connection.write(binary(data))) return;
        socket.pause();
        connection.once('drain', () => socket.resume());
      });
      socket.once('close', () => connection.end());
      socket.on('error', () => connection.destroy());
    });
    const errors = await open('2', (socket) => {
      socket.on('message', (data, isBinary) => { if (isBinary) complain(binary(data).toString('utf8').trimEnd()); });
      socket.on('error', () => undefined);
    });
    const input = await open('0', (socket) => { socket.on('error', () => undefined); });
    connection.on('data', (data) => {
      connection.pause();
      input.send(data, { binary: true }, () => connection.resume());
    });
    connection.once('end', () => input.send('', { binary: false }));
    connection.once('close', () => {
      control.send(JSON.stringify({ command: 'signal', signal: 15 }), { binary: false }, () => { for (const socket of [control, output, errors, input]) socket.terminate(); });
    });
    connection.resume();
  } catch (error) {
    complain(`port ${port} of "${instance}": ${messageOf(error)}`);
    connection.destroy();
  }
}
