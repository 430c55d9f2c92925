import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { readText } from '#client';
import type { Operation } from '#api-types';
import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { findProgram, runInForeground } from '../../terminal/processes.js';
import { binary, forwardInput, sendControl } from '../../terminal/sockets.js';

interface ConsoleMetadata { readonly fds: Readonly<Record<string, string>> }

export const console_: Run = async (invocation) => {
  const type = invocation.flags.text('type');
  if (!['console', 'vga'].includes(type)) throw invalid(`Unknown output type "${type}"`);
  if (!invocation.flags.bool('show-log')) return attachConsole(invocation, invocation.arg(0), type);
  if (type !== 'console') throw invalid("The --show-log flag is only supported for by 'console' output type");
  const { server, name } = await invocation.place(invocation.arg(0));
  const log = await readText(await server.api.download(url(['instances', name, 'console'])));
  invocation.print(`\nConsole log:\n\n${log}`);
};

/** Attaches to the console of an instance until its user leaves it, or it ends. */
export async function attachConsole(invocation: Invocation, place: string, type: string): Promise<void> {
  const { server, name } = await invocation.place(place);
  const { terminal } = invocation;
  if (type === 'console') terminal.out('To detach from the console, press: <ctrl>+a q\n\r');
  const body = { width: terminal.columns, height: terminal.rows, type };
  const answer = await server.api.call<Operation>('POST', url(['instances', name, 'console']), { body });
  const { fds } = answer.metadata.metadata as unknown as ConsoleMetadata;
  const path = answer.operation.split('?')[0]!;
  if (type === 'vga') return viewGraphics(invocation, server, path, fds);
  await viewText(invocation, server, path, fds);
}

/** `<ctrl>+a q` leaves; twice `<ctrl>+a` is one for the other side. */
function escapeFilter(leave: () => void): (data: Buffer) => Buffer | null {
  let escaped = false;
  return (data) => {
    const passed: number[] = [];
    for (const byte of data) {
      if (escaped) {
        escaped = false;
        if (byte === 0x71) {
          leave();
          return Buffer.from(passed);
        }
        passed.push(...(byte === 1 ? [1] : [1, byte]));
      } else if (byte === 1) escaped = true;
      else passed.push(byte);
    }
    return Buffer.from(passed);
  };
}

async function viewText(invocation: Invocation, server: Server, path: string, fds: Readonly<Record<string, string>>): Promise<void> {
  const { terminal } = invocation;
  const { stdin } = terminal;
  const open = (fd: string, prepare: Parameters<typeof server.api.webSocket>[1]) => server.api.webSocket(`${path}/websocket?secret=${encodeURIComponent(fds[fd]!)}`, prepare);
  const control = await open('control', (socket) => { socket.on('error', () => undefined); });
  const ended = Promise.withResolvers<void>();
  const main = await open('0', (socket) => {
    socket.on('message', (data, isBinary) => { if (isBinary) terminal.out(binary(data)); });
    socket.once('close', () => ended.resolve());
    socket.on('error', () => ended.resolve());
  });
  const resized = (): void => sendControl(control, { command: 'window-resize', args: { width: String(terminal.columns), height: String(terminal.rows) } });
  const raw = stdin.isTTY === true;
  if (raw) stdin.setRawMode(true);
  process.on('SIGWINCH', resized);
  const stopInput = forwardInput(stdin, main, escapeFilter(() => ended.resolve()));
  try {
    await ended.promise;
  } finally {
    stopInput();
    process.off('SIGWINCH', resized);
    if (raw) stdin.setRawMode(false);
    terminal.release();
    control.terminate();
    main.terminate();
  }
}

/** SPICE through a socket here, for the viewer this machine has. */
async function viewGraphics(invocation: Invocation, server: Server, path: string, fds: Readonly<Record<string, string>>): Promise<void> {
  const directory = mkdtempSync(`${process.env['XDG_RUNTIME_DIR'] ?? tmpdir()}/roost-spice-`);
  const socketPath = `${directory}/spice.socket`;
  const control = await server.api.webSocket(`${path}/websocket?secret=${encodeURIComponent(fds['control']!)}`, (socket) => { socket.on('error', () => undefined); });
  const listener = relay(server, `${path}/websocket?secret=${encodeURIComponent(fds['0']!)}`);
  try {
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(socketPath, resolve));
    if (findProgram('remote-viewer') !== undefined) await runInForeground('remote-viewer', [`spice+unix://${socketPath}`]);
    else if (findProgram('spicy') !== undefined) await runInForeground('spicy', [`--uri=spice+unix://${socketPath}`]);
    else {
      invocation.print(`Neither remote-viewer nor spicy is installed. The SPICE socket is:\n  ${socketPath}`);
      await new Promise<void>((resolve) => {
        control.once('close', () => resolve());
        process.once('SIGINT', () => resolve());
      });
    }
  } finally {
    listener.close();
    control.terminate();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each connection gets a websocket of its own. */
function relay(server: Server, path: string): NetServer {
  return createServer((connection) => {
    connection.on('error', () => undefined);
    server.api.webSocket(path, (socket) => {
      socket.on('message', (data) => connection.write(binary(data)));
      socket.once('close', () => connection.end());
      socket.on('error', () => connection.destroy());
      connection.once('close', () => socket.terminate());
    }).then((socket) => connection.on('data', (data) => socket.send(data)), () => connection.destroy());
  });
}
