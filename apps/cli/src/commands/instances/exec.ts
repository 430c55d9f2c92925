import type { WebSocket } from 'ws';
import type { Operation } from '#api-types';
import { followOperation } from '#client';
import { AppError, invalid, messageOf } from '#kernel';
import { ExitCode, type Invocation, type Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { binary, forwardInput, sendControl } from '../../terminal/sockets.js';

interface ExecMetadata { readonly fds: Readonly<Record<string, string>>; readonly return?: number }

export const exec: Run = async (invocation) => {
  const { flags, args, terminal } = invocation;
  const { server, name } = await invocation.place(args[0]!);
  const mode = modeOf(invocation);
  const interactive = mode === 'interactive' || (mode === 'auto' && terminal.inputIsTerminal && terminal.outputIsTerminal && !flags.bool('disable-stdin'));
  const environment: Record<string, string> = {};
  if ((process.env['TERM'] ?? '') !== '') environment['TERM'] = process.env['TERM']!;
  for (const pair of flags.list('env')) {
    const equals = pair.indexOf('=');
    environment[equals < 0 ? pair : pair.slice(0, equals)] = equals < 0 ? '' : pair.slice(equals + 1);
  }
  const body = {
    command: args.slice(1), 'wait-for-websocket': true, interactive, environment, ...(interactive ? size(invocation) : { width: 0, height: 0 }),
    'record-output': false, user: flags.int('user'), group: flags.int('group'), cwd: flags.text('cwd'),
  };
  const answer = await server.api.call<Operation>('POST', url(['instances', name, 'exec']), { body });
  const { fds } = answer.metadata.metadata as unknown as ExecMetadata;
  const path = answer.operation.split('?')[0]!;
  const done = interactive ? withTerminal(invocation, server, path, fds) : withPipes(invocation, server, path, fds);
  const code = await Promise.all([done, waitFor(server, answer)]).then(([, operation]) => returned(operation) ?? 0, (error: unknown) => {
    // What could not be run has a code too, as a shell would give it.
    const failed = AppError.is(error) ? returned(error.details['operation'] as Operation | undefined) : undefined;
    if (failed === undefined) throw error;
    invocation.note(`Error: ${messageOf(error)}`);
    return failed;
  });
  if (code !== 0) throw new ExitCode(code);
};

function returned(operation: Operation | undefined): number | undefined {
  return (operation?.metadata as unknown as ExecMetadata | null)?.return;
}

function modeOf(invocation: Invocation): string {
  const { flags } = invocation;
  if (flags.bool('force-interactive') && flags.bool('force-noninteractive')) throw invalid("You can't pass -t and -T at the same time");
  if (flags.text('mode') !== 'auto' && (flags.bool('force-interactive') || flags.bool('force-noninteractive'))) throw invalid("You can't pass -t or -T at the same time as --mode");
  const mode = flags.bool('force-interactive') ? 'interactive' : flags.bool('force-noninteractive') ? 'non-interactive' : flags.text('mode');
  if (!['auto', 'interactive', 'non-interactive'].includes(mode)) throw invalid(`Unknown output type: ${mode}`);
  return mode;
}

function size({ terminal }: Invocation): { width: number; height: number } {
  return { width: terminal.columns, height: terminal.rows };
}

/** Runs for days perhaps, and nothing is said meanwhile: so the wait goes in rounds. */
function waitFor(server: Server, answer: Parameters<Invocation['wait']>[1]): Promise<Operation> {
  return followOperation(server.api, answer, { stallMs: 60_000 });
}

async function open(server: Server, path: string, secret: string, prepare?: (socket: WebSocket) => void): Promise<WebSocket> {
  return server.api.webSocket(`${path}/websocket?secret=${encodeURIComponent(secret)}`, prepare);
}

/** One socket for all, the terminal here as plain as it can be: everything typed goes there. */
async function withTerminal(invocation: Invocation, server: Server, path: string, fds: Readonly<Record<string, string>>): Promise<void> {
  const { terminal } = invocation;
  const { stdin } = terminal;
  const control = await open(server, path, fds['control']!, (socket) => { socket.on('error', () => undefined); });
  const ended = Promise.withResolvers<void>();
  const main = await open(server, path, fds['0']!, (socket) => {
    socket.on('message', (data, isBinary) => { 
      // The text at the end says that there is no more.
      if (isBinary) terminal.out(binary(data));
      else ended.resolve();
    });
    socket.once('close', () => ended.resolve());
    socket.on('error', () => ended.resolve());
  });
  const resized = (): void => {
    const { width, height } = size(invocation);
    sendControl(control, { command: 'window-resize', args: { width: String(width), height: String(height) } });
  };
  const raw = stdin.isTTY === true;
  if (raw) stdin.setRawMode(true);
  process.on('SIGWINCH', resized);
  const stopSignals = raw ? () => undefined : forwardSignals(control);
  const stopInput = forwardInput(stdin, main);
  try {
    await ended.promise;
  } finally {
    stopInput();
    stopSignals();
    process.off('SIGWINCH', resized);
    if (raw) stdin.setRawMode(false);
    terminal.release();
    control.terminate();
    main.terminate();
  }
}

/** A socket each for input, output and errors. */
async function withPipes(invocation: Invocation, server: Server, path: string, fds: Readonly<Record<string, string>>): Promise<void> {
  const { terminal, flags } = invocation;
  const control = await open(server, path, fds['control']!, (socket) => { socket.on('error', () => undefined); });
  const outputs = await Promise.all([receive(server, path, fds['1']!, terminal.stdout), receive(server, path, fds['2']!, terminal.stderr)]);
  const input = await open(server, path, fds['0']!, (socket) => { socket.on('error', () => undefined); });
  const stopSignals = forwardSignals(control);
  const stopInput = flags.bool('disable-stdin') ? (input.send('', { binary: false }), () => undefined) : forwardInput(terminal.stdin, input);
  try {
    await Promise.all(outputs.map((one) => one.ended));
  } finally {
    stopInput();
    stopSignals();
    terminal.release();
    input.terminate();
    control.terminate();
  }
}

/** Opens the socket of an output. `ended` resolves after the empty text that says that there is no more. */
async function receive(server: Server, path: string, secret: string, stream: NodeJS.WriteStream): Promise<{ readonly ended: Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await open(server, path, secret, (socket) => {
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return resolve();
      if (stream.write(binary(data))) return;
      socket.pause();
      stream.once('drain', () => socket.resume());
    });
    socket.once('close', () => resolve());
    socket.on('error', () => resolve());
  });
  return { ended: promise };
}

const numbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12, SIGTERM: 15, SIGCONT: 18 };

/** What this program is told by signals, the command there is told. */
function forwardSignals(control: WebSocket): () => void {
  const handlers = Object.entries(numbers).map(([name, signal]) => {
    const handler = (): void => sendControl(control, { command: 'signal', signal });
    process.on(name as NodeJS.Signals, handler);
    return () => process.off(name as NodeJS.Signals, handler);
  });
  return () => { for (const stop of handlers) stop(); };
}
