import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deadline, wrap } from '#kernel';

const openPatienceMs = 5000;

/** Who may open what the agent makes for this process. */
export const ownEndpoint = { endpointUid: process.getuid?.() ?? 0, endpointGid: process.getgid?.() ?? 0 } as const;

/**
 * Opens the ends of a command's streams: FIFOs the agent made for this session, or unix sockets. Non-blocking descriptors in the event
 * loop: a thread of the pool per read would starve everything else once a few dozen commands run.
 */
export async function openReader(path: string, onread?: net.OnReadOpts): Promise<net.Socket> {
  if (isSocket(path)) return connect(path, onread);
  // Without a writer yet this end waits: end of file is reported only after a writer was there and has gone.
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  return new net.Socket({ fd, readable: true, writable: false, ...(onread === undefined ? {} : { onread }) });
}

export async function openWriter(path: string): Promise<net.Socket> {
  if (isSocket(path)) return connect(path);
  const deadline = new Deadline(openPatienceMs);
  for (;;) {
    try {
      const fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
      return new net.Socket({ fd, readable: false, writable: true });
    } catch (error) {
      // Nobody reads yet.
      if (codeOf(error) !== 'ENXIO' || deadline.passed) throw wrap(error, 'Failed opening the input of a command');
      await sleep(2);
    }
  }
}

/** The socket of a terminal: bytes both ways. */
export function openTerminal(path: string): Promise<net.Socket> {
  return connect(path);
}

/** Tells the command's parent that the ends above are open. Without a gate nobody waits. */
export function openGate(path: string): void {
  if (path !== '') fs.closeSync(fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
}

/** Looking at and opening what the agent has just made takes microseconds; a thread of the pool would take longer to wake up. */
function isSocket(path: string): boolean {
  return fs.statSync(path).isSocket();
}

async function connect(path: string, onread?: net.OnReadOpts): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const socket = net.connect({ path, allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) }, () => resolve(socket));
  socket.once('error', reject);
  return promise;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
