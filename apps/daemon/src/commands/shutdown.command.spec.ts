import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Api } from './init/api.js';
import { shutdown } from './shutdown.command.js';

/** A daemon that answers at once and whose process takes a moment more. */
function slowDaemon(seconds: number): { api: Api; ended: () => boolean } {
  const process = spawn('sleep', [String(seconds)], { stdio: 'ignore' });
  const api = { get: async () => ({ environment: { server_pid: process.pid } }), put: async () => undefined } as unknown as Api;
  return { api, ended: () => process.exitCode !== null };
}

it('returns when the process of the daemon is gone, not when it has answered', async () => {
  const { api, ended } = slowDaemon(0.3);
  await shutdown(api, false, 0);
  await sleep(50);

  expect(ended()).toBe(true);
});

it('gives up after the time it was given', async () => {
  const { api } = slowDaemon(1.5);

  await expect(shutdown(api, false, 0.1)).rejects.toThrow('LXD still running after 0.1s timeout');
});
