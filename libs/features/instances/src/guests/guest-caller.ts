import type { Socket } from 'node:net';

/** Who is at the other end, as the agent's helper found out: the instance's name on the host, and the caller's uid there. */
export interface Caller {
  readonly name: string;
  readonly uid: number;
}

const longestLine = 512;
const patienceMs = 5000;

/** Reads the line `NAME UID` in front of a connection and leaves what follows to be read by whoever is told. A connection without one is closed. */
export function readCaller(socket: Socket, found: (caller: Caller) => void): void {
  let read: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), patienceMs);
  const onData = (chunk: Buffer): void => {
    read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
    const end = read.indexOf(10);
    if (end < 0 && read.length < longestLine) return;
    clearTimeout(timer);
    socket.off('data', onData);
    socket.pause();
    const [, name, uid] = /^(\S+) (\d+)$/.exec(read.toString('latin1', 0, Math.max(end, 0))) ?? [];
    if (name === undefined) return void socket.destroy();
    if (end + 1 < read.length) socket.unshift(read.subarray(end + 1));
    found({ name, uid: Number(uid) });
    socket.resume();
  };
  socket.on('data', onData);
  socket.once('close', () => clearTimeout(timer));
}
