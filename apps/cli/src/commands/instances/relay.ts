import type { WebSocket } from 'ws';
import type { ApiClient } from '#client';
import { messageOf, unavailable } from '#kernel';

export interface RelayEnd {
  readonly api: ApiClient;
  /** `/1.0/operations/UUID` */
  readonly path: string;
  /** Secrets of its connections, by name. */
  readonly secrets: Readonly<Record<string, string>>;
}

const highWater = 4 * 1024 * 1024;

/** Connects what two operations offer under the same names, and hands on what the one sends to the other, no faster than it is taken. */
export function relayOperations(a: RelayEnd, b: RelayEnd): { readonly failed: Promise<never>; close(): void } {
  const sockets: WebSocket[] = [];
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  const open = (end: RelayEnd, name: string): Promise<WebSocket> => end.api.webSocket(`${end.path}/websocket?secret=${encodeURIComponent(end.secrets[name]!)}`, (socket) => {
    sockets.push(socket);
    // The other side may speak before its counterpart is there; a socket that is being opened cannot be paused.
    socket.once('open', () => socket.pause());
  });
  for (const name of Object.keys(a.secrets).filter((one) => b.secrets[one] !== undefined)) {
    Promise.all([open(a, name), open(b, name)]).then(([left, right]) => {
      forward(left, right);
      forward(right, left);
    }, (error: unknown) => reject(unavailable(`Connection "${name}" between the servers: ${messageOf(error)}`)));
  }
  return { failed, close: () => { for (const socket of sockets) socket.terminate(); } };
}

function forward(from: WebSocket, to: WebSocket): void {
  from.on('message', (data, isBinary) => {
    if (to.readyState !== to.OPEN) return;
    to.send(data, { binary: isBinary }, () => { if (from.isPaused && to.bufferedAmount < highWater) from.resume(); });
    if (to.bufferedAmount >= highWater) from.pause();
  });
  from.once('close', () => to.close());
  from.on('error', () => to.terminate());
  from.resume();
}
