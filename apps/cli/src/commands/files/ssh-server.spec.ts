import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { duplexPair, type Duplex } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { serveSftp, type SftpService } from './ssh-server.js';

const missing = spawnSync('ssh', ['-V']).error !== undefined;
const directory = mkdtempSync(`${tmpdir()}/roost-ssh-`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Says back what it is told. */
const open = async (): Promise<Duplex> => {
  const [near, far] = duplexPair();
  far.on('data', (data) => far.write(data));
  return near;
};

async function withServer<T>(login: SftpService['login'], action: (port: number) => Promise<T>): Promise<T> {
  const server = await serveSftp({ host: '127.0.0.1', port: 0, login, open });
  return action(server.port).finally(() => server.close());
}

/** What `ssh -s HOST sftp` gets back for what it is given. */
async function ssh(port: number, user: string, input: Buffer, password = 'none', ...options: string[]): Promise<{ code: number; out: Buffer }> {
  const ask = `${directory}/ask`;
  writeFileSync(ask, `#!/bin/sh\necho '${password}'\n`);
  chmodSync(ask, 0o700);
  const words = ['-q', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1', ...options, '-p', String(port), '-s', `${user}@127.0.0.1`, 'sftp'];
  const child = spawn('ssh', words, { env: { ...process.env, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force' }, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => undefined);
  child.stdin.write(input);
  const parts: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => {
    parts.push(data);
    if (Buffer.concat(parts).length >= input.length) child.kill('SIGTERM');
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? 0, out: Buffer.concat(parts) })));
}

describe.skipIf(missing)('serveSftp', () => {
  it('carries bytes both ways, keys being agreed on again meanwhile', async () => {
    const content = randomBytes(3_000_000);
    const result = await withServer(undefined, (port) => ssh(port, 'x', content, 'none', '-o', 'RekeyLimit=512K'));
    expect(result.out.equals(content)).toBe(true);
  });

  it('lets in who has name and password, and nobody else', async () => {
    await withServer({ user: 'joe', password: 'secret' }, async (port) => {
      expect((await ssh(port, 'joe', Buffer.from('hello'), 'secret')).out.toString('utf8')).toBe('hello');
      expect((await ssh(port, 'joe', Buffer.from('hello'), 'wrong')).code).toBe(255);
      expect((await ssh(port, 'eve', Buffer.from('hello'), 'secret')).code).toBe(255);
    });
  });

  it.each([['nothing of SSH\r\n'], ['SSH-2.0-x\r\n\u00ff\u00ff\u00ff\u00ff'], ['SSH-2.0-x\r\n\u0000\u0000\u0000\u000c\u0004\u001e\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000']])('hangs up on %j', async (text) => {
    await withServer(undefined, (port) => new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(text, 'latin1')));
      socket.on('data', () => undefined);
      socket.on('error', () => undefined);
      socket.once('close', () => resolve());
    }));
  });
});
