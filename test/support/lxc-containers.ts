import { constants, existsSync, openSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect } from 'vitest';
import { readProcessStat } from '#host';
import type { InstanceEvent } from '#ports';
import { LxcFixture, openGate, readProc, shell, until } from './lxc-fixture.js';

type Optional = [config?: Record<string, string>, devices?: Parameters<LxcFixture['spec']>[2], nics?: Parameters<LxcFixture['spec']>[3]];

/** A fresh fixture for each test of the block that makes one; nothing of it may be left on the host afterwards. */
export class LxcContainers {
  fixture!: LxcFixture;

  constructor() {
    beforeEach(async () => {
      this.fixture = new LxcFixture();
      await this.fixture.open();
    });
    afterEach(async () => {
      await this.fixture.dispose();
      expect(['/run', '/dev/shm'].filter((place) => existsSync(`${place}/roost-${this.fixture.stateId}`))).toEqual([]);
      expect(leftCgroups(this.fixture.stateId)).toEqual([]);
      expect(mountsBelow(this.fixture.root)).toEqual([]);
    });
  }

  readonly start = async (name: string, ...rest: Optional) => {
    const spec = await this.fixture.create(name, ...rest);
    const started = await this.fixture.host.instances.startInstance(spec);
    await listening(started.pid);
    return { spec, ...started };
  };

  readonly kill = (name: string) => this.fixture.host.instances.stopInstance({ projectName: name, clean: false, timeoutMs: 0 });

  readonly status = async (name: string) => (await this.fixture.host.instances.describeStatus([name]))[0]!;
}

/** The kernel drops signals for which a container's init has no handler yet; the fixture's handles SIGTERM (15) last. */
export function listening(pid: number): Promise<void> {
  return until(() => (BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(readProc(pid, 'status'))![1]}`) >> 14n & 1n) === 1n);
}

export function collectEvents(fixture: LxcFixture): { list: InstanceEvent[]; stop: () => void } {
  const controller = new AbortController();
  const list: InstanceEvent[] = [];
  void (async () => { for await (const event of fixture.host.instances.watchInstances(controller.signal)) list.push(event); })();
  return { list, stop: () => controller.abort() };
}

export async function sleeping(fixture: LxcFixture) {
  const started = await fixture.host.exec.startExec({
    projectName: 'c1', command: ['sleep', '1000'], environment: {}, user: 0, group: 0, cwd: '', interactive: false, ends: 'all', width: 0, height: 0, endpointUid: 0, endpointGid: 0,
  });
  openSync(started.stdinPath, constants.O_WRONLY | constants.O_NONBLOCK);
  openSync(started.stdoutPath, constants.O_RDONLY | constants.O_NONBLOCK);
  openSync(started.stderrPath, constants.O_RDONLY | constants.O_NONBLOCK);
  openGate(started);
  await until(() => existsSync(`${fixture.paths.exec(started.sessionId)}/pid`));
  await until(() => readProc(commandOf(fixture, started.sessionId).pid, 'comm').trim() === 'sleep');
  return started;
}

export function commandOf(fixture: LxcFixture, sessionId: string) {
  return readProcessStat(Number(readFileSync(`${fixture.paths.exec(sessionId)}/pid`, 'utf8').split(' ')[0]))!;
}

export function lastKnown(fixture: LxcFixture, name: string): { pid: number } {
  return (JSON.parse(readFileSync(fixture.paths.record(name), 'utf8')) as { running: { init: { pid: number } } }).running.init;
}

export function payloadPids(fixture: LxcFixture, name: string): string[] {
  const [directory] = ['freezer', 'unified', ''].map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/${fixture.paths.payloadCgroup(name)}`).filter((path) => existsSync(path));
  return directory === undefined ? [] : readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter((line) => line !== '');
}

export function readCgroup(pid: number, controller: string, file: string): string {
  const path = new RegExp(`^\\d+:${controller}:(.*)$`, 'm').exec(readProc(pid, 'cgroup'))?.[1];
  return readFileSync(`/sys/fs/cgroup/${path === undefined ? /^0::(.*)$/m.exec(readProc(pid, 'cgroup'))?.[1] : `${controller}${path}`}/${file}`, 'utf8').trim();
}

export function leftCgroups(stateId: string): string[] {
  return shell('find', '/sys/fs/cgroup', '-maxdepth', '3', '-path', `*roost-${stateId}*`).split('\n').filter((line) => line !== '');
}

export function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(directory));
}
