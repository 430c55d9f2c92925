import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';

/** Both ends of a connection, neither of which is read yet. */
export async function webSocketPair(): Promise<[WebSocket, WebSocket]> {
  const directory = mkdtempSync(join(tmpdir(), 'roost-pair-'));
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  try {
    server.listen(join(directory, 'socket'));
    await once(server, 'listening');
    const theirs = once(sockets, 'connection') as Promise<[WebSocket]>;
    const one = new WebSocket(`ws+unix://${join(directory, 'socket')}:/`);
    one.once('open', () => one.pause());
    const [other] = await theirs;
    other.pause();
    if (one.readyState !== WebSocket.OPEN) await once(one, 'open');
    return [one, other];
  } finally {
    sockets.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
