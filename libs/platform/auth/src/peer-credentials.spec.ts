import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { peerUserName, preparePeerCredentials } from './peer-credentials.js';

it('names the user at the other end of a unix socket', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'roost-peer-'));
  preparePeerCredentials();
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer((socket) => accepted.resolve(socket)).listen(join(directory, 's'));
  const client = connect(join(directory, 's'));

  expect(peerUserName(await accepted.promise)).toBe(userInfo().username);

  client.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});
