import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needsRoot, unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import { Target } from '../support/target.js';

const top = resolve(import.meta.dirname, '../..');
const reason = needsRoot !== '' ? needsRoot : spawnSync('sftp', ['-h']).error === undefined ? '' : 'sftp is not installed';

describe.skipIf(unmet('files of an instance over SSH', reason))('roost file mount --listen', () => {
  const target = new Target('roost');

  beforeAll(async () => {
    await target.start();
    must(target, 'lxc storage create default dir');
    must(target, 'lxc profile device add default root disk path=/ pool=default');
    must(target, `${top}/deploy/busybox-image >bb.tar.gz && lxc image import bb.tar.gz --alias bb`);
    must(target, 'lxc init bb c1');
  });
  afterAll(() => target.destroy());

  it('serves the files of an instance to any SFTP client', async () => {
    const child = spawn(`${top}/deploy/bin/roost`, ['file', 'mount', 'c1', '--listen', '127.0.0.1:0', '--no-auth'], { env: target.env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const port = await new Promise<string>((done) => child.stdout.on('data', (data: Buffer) => {
        const match = /listening on 127\.0\.0\.1:(\d+)/.exec(data.toString('utf8'));
        if (match !== null) done(match[1]!);
      }));
      const options = '-q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';
      const result = target.run(`printf 'put bb.tar.gz /root/up\\nget /root/up down\\nget /etc/passwd pw\\n' >batch; sftp ${options} -b batch -P ${port} x@127.0.0.1 >/dev/null; cmp bb.tar.gz down && cat pw`);
      expect(result.stdout).toContain('root:x:0:0:root:/root:/bin/sh');
      expect(result.code).toBe(0);
    } finally {
      child.kill('SIGINT');
    }
  });
});
