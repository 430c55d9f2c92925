import { afterEach, describe, expect, it } from 'vitest';
import { SilentLogger } from '#kernel';
import type { EtcdNode } from './etcd-arguments.rules.js';
import type { EtcdExit } from './etcd-exit.rules.js';
import { EtcdKeeper } from './etcd-keeper.js';
import { EtcdLauncher, type RunningEtcd } from './etcd-launcher.js';

const node: EtcdNode = {
  name: 'member-1', incarnation: 'abc', dataDirectory: '/d', listenAddress: '127.31.0.1', advertisedHost: '127.31.0.1', peerPort: 8444, clientPort: 8445, initialState: 'new',
  initialCluster: {}, files: { ca: '', certificate: '', key: '' },
};
const panic: EtcdExit = { code: 2, signal: null, tail: 'panic: tocommit(9) is out of range' };
const killed: EtcdExit = { code: null, signal: 'SIGKILL', tail: '' };

/** Runs nothing: each start is ended by the test. */
class ScriptedLauncher extends EtcdLauncher {
  readonly ends: ((exit: EtcdExit) => void)[] = [];
  terminated = 0;

  override async version(): Promise<string> {
    return '3.4.23';
  }

  override async start(): Promise<RunningEtcd> {
    const { promise, resolve } = Promise.withResolvers<EtcdExit>();
    this.ends.push(resolve);
    return { pid: this.ends.length, adopted: false, exited: promise, terminate: async () => { this.terminated++; resolve({ code: 0, signal: null, tail: '' }); } };
  }
}

describe('a kept etcd', () => {
  let keeper: EtcdKeeper;
  const told: string[] = [];
  afterEach(async () => {
    await keeper.stop();
    told.length = 0;
  });

  async function keep(settledMs = 60_000): Promise<ScriptedLauncher> {
    const launcher = new ScriptedLauncher();
    const events = { onWarning: (text: string) => told.push(text), onRecovered: () => told.push('recovered'), onDamaged: (text: string) => told.push(`damaged ${text}`), onRemoved: () => told.push('removed') };
    keeper = new EtcdKeeper({ launcher, logger: new SilentLogger(), node, logFile: '/dev/null', backoffMs: [1], settledMs, events });
    await keeper.start();
    return launcher;
  }

  async function endNext(launcher: ScriptedLauncher, exit: EtcdExit): Promise<void> {
    const run = launcher.ends.length;
    launcher.ends[run - 1]!(exit);
    for (let i = 0; i < 30 && launcher.ends.length === run; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  it('is started again when it ends, with a warning from the second time on', async () => {
    const launcher = await keep();
    await endNext(launcher, killed);
    const afterOne = [...told];
    await endNext(launcher, killed);
    await endNext(launcher, killed);

    expect(launcher.ends).toHaveLength(4);
    expect(afterOne).toEqual([]);
    expect(told).toEqual(['etcd does not keep running: killed by SIGKILL']);
  });

  it('is given up after two panics in a row, since its data is not of this history', async () => {
    const launcher = await keep();
    await endNext(launcher, panic);
    await endNext(launcher, panic);

    expect(launcher.ends).toHaveLength(2);
    expect(told.at(-1)).toBe('damaged exit code 2: panic: tocommit(9) is out of range');
  });

  it('is not given up when panics are not in a row', async () => {
    const launcher = await keep();
    for (const exit of [panic, killed, panic]) await endNext(launcher, exit);

    expect(launcher.ends).toHaveLength(4);
    expect(told.filter((text) => text.startsWith('damaged'))).toEqual([]);
  });

  it('is not started again when the others have removed it', async () => {
    const launcher = await keep();
    await endNext(launcher, { code: 0, signal: null, tail: 'the member has been permanently removed from the cluster' });

    expect(launcher.ends).toHaveLength(1);
    expect(told).toEqual(['removed']);
  });

  it('takes its warning back when it has run for a while', async () => {
    const launcher = await keep(40);
    for (let i = 0; i < 2; i++) await endNext(launcher, killed);
    for (let i = 0; i < 100 && !told.includes('recovered'); i++) await new Promise((resolve) => setTimeout(resolve, 5));

    expect(told).toEqual(['etcd does not keep running: killed by SIGKILL', 'recovered']);
  });

  it('stays down once it was stopped', async () => {
    const launcher = await keep();
    await keeper.stop();
    await new Promise((resolve) => setTimeout(resolve, 20));

    expect(launcher.terminated).toBe(1);
    expect(launcher.ends).toHaveLength(1);
    await expect(keeper.start()).rejects.toThrow('etcd was stopped');
  });
});
