import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InstanceEvent } from '#ports';
import { isAlive, readProcessStat } from '#host';
import { unmet } from '../support/needs.js';
import { LxcFixture, readProc, shell, until, whyNoContainers } from '../support/lxc-fixture.js';

const impossible = unmet('containers by LXC', whyNoContainers());

const noSignal = new AbortController().signal;

describe.skipIf(impossible)('containers by LXC', () => {
  let fixture: LxcFixture;

  beforeEach(async () => {
    fixture = new LxcFixture();
    await fixture.open();
  });

  afterEach(async () => {
    await fixture.dispose();
    expect(leftCgroups(fixture.stateId)).toEqual([]);
    expect(mountsBelow(fixture.root)).toEqual([]);
  });

  const start = async (name: string, ...rest: [config?: Record<string, string>, devices?: Parameters<LxcFixture['spec']>[2], nics?: Parameters<LxcFixture['spec']>[3]]) => {
    const spec = await fixture.create(name, ...rest);
    const started = await fixture.host.instances.startInstance(spec);
    await listening(started.pid);
    return { spec, ...started };
  };
  const kill = (name: string) => fixture.host.instances.stopInstance({ projectName: name, clean: false, timeoutMs: 0 });
  const status = async (name: string) => (await fixture.host.instances.describeStatus([name]))[0]!;

  describe('power', () => {
    it('starts, tells its pid and time, and leaves nothing when killed', async () => {
      const { pid, volatile } = await start('c1');

      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      expect(Math.abs(Date.parse((await status('c1')).startedAt) - Date.now())).toBeLessThan(10_000);
      expect(volatile).toMatchObject({ 'volatile.last_state.idmap': '[]' });
      expect(readProc(pid, 'uid_map').trim().split(/\s+/)).toEqual(['0', '1000000', '65536']);

      await kill('c1');

      expect(await status('c1')).toMatchObject({ power: 'Stopped', pid: 0 });
      expect(leftCgroups(fixture.stateId).filter((path) => path.includes('/c1'))).toEqual([]);
      await kill('c1');
    });

    it('refuses a second start', async () => {
      const { spec } = await start('c1');

      await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining('already running') });
    });

    it('refuses a specification from before the instance was moved here', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      await fixture.host.instances.updateInstance(spec, { ...spec, placementEpoch: 7 });

      await expect(fixture.host.instances.startInstance({ ...spec, placementEpoch: 6 })).rejects.toMatchObject({ kind: 'conflict' });
    });

    it('leaves nothing behind when a start fails', async () => {
      const spec = await fixture.create('c1', { 'raw.lxc': 'lxc.net.0.type = veth\nlxc.net.0.link = nosuchbridge' });

      await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'internal' });

      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
      expect(leftCgroups(fixture.stateId).filter((path) => path.includes('/c1'))).toEqual([]);
    });

    it('stops cleanly, and tells when that takes too long', async () => {
      await start('c1');
      await fixture.host.instances.stopInstance({ projectName: 'c1', clean: true, timeoutMs: 5000 });
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });

      const spec = await fixture.create('deaf');
      writeFileSync(`${fixture.state.volume('p', 'container', 'deaf')}/rootfs/sbin/init`, '#!/bin/sh\ntrap "" PWR\nwhile :; do sleep 1000; done\n');
      await fixture.host.instances.startInstance(spec);
      await expect(fixture.host.instances.stopInstance({ projectName: 'deaf', clean: true, timeoutMs: 200 })).rejects.toMatchObject({ kind: 'unavailable' });
      expect(await status('deaf')).toMatchObject({ power: 'Running' });
    });

    it('kills while a clean stop waits', async () => {
      const spec = await fixture.create('deaf');
      writeFileSync(`${fixture.state.volume('p', 'container', 'deaf')}/rootfs/sbin/init`, '#!/bin/sh\ntrap "" PWR\nwhile :; do sleep 1000; done\n');
      await fixture.host.instances.startInstance(spec);
      const clean = fixture.host.instances.stopInstance({ projectName: 'deaf', clean: true, timeoutMs: 0 });

      await kill('deaf');
      await clean;
    });

    it('freezes, thaws, and kills what is frozen', async () => {
      await start('c1');
      await fixture.host.instances.freezeInstance('c1');
      expect(await status('c1')).toMatchObject({ power: 'Frozen' });
      await fixture.host.instances.unfreezeInstance('c1');
      expect(await status('c1')).toMatchObject({ power: 'Running' });

      await fixture.host.instances.freezeInstance('c1');
      await kill('c1');
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    });

    it('notices an end from inside within 100 ms', async () => {
      const events = collectEvents(fixture);
      const { pid } = await start('c1');
      const begun = performance.now();
      process.kill(pid, 'SIGPWR');

      await until(() => events.list.some(({ event }) => event === 'stopped'));
      expect(performance.now() - begun).toBeLessThan(400);
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
      events.stop();
    });

    it('leaves a reboot to the daemon that listens, and does it itself when none does', async () => {
      const { pid } = await start('c1');
      process.kill(pid, 'SIGTERM');
      await until(async () => (await status('c1')).pid > 0 && (await status('c1')).pid !== pid);

      const events = collectEvents(fixture);
      await listening((await status('c1')).pid);
      process.kill((await status('c1')).pid, 'SIGTERM');
      await until(() => events.list.some(({ event }) => event === 'rebooting'));
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
      events.stop();
    });

    it('reboots by LXC alone while there is no agent', async () => {
      const { pid } = await start('c1');
      fixture.host.close();
      process.kill(pid, 'SIGTERM');
      await until(() => !existsSync(`/proc/${pid}`));
      fixture.host = fixture.newHost();
      await until(() => payloadPids(fixture, 'c1').length > 0);
      await fixture.open();

      expect((await status('c1')).pid).not.toBe(pid);
      expect(await status('c1')).toMatchObject({ power: 'Running' });
    });

    it('finds running containers again after a restart of the agent', async () => {
      const { pid } = await start('c1');
      await start('c2');
      fixture.host.close();
      const ended = readProcessStat(lastKnown(fixture, 'c2').pid)!;
      process.kill(ended.pid, 'SIGKILL');
      await until(() => !isAlive(ended));
      fixture.host = fixture.newHost();
      await fixture.open();

      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      expect(await status('c2')).toMatchObject({ power: 'Stopped' });
      expect((await fixture.run('c1', ['echo', 'still here'])).stdout).toBe('still here\n');
    });

    it('renames a stopped instance and destroys it', async () => {
      const before = await fixture.create('c1');
      shell('mv', fixture.state.volume('p', 'container', 'c1'), fixture.state.volume('p', 'container', 'c2'));
      const after = fixture.spec('c2');

      await fixture.host.instances.renameInstance(before, { ...after, id: before.id });
      await fixture.host.instances.startInstance({ ...after, id: before.id });
      expect((await fixture.run('c2', ['sh', '-c', 'echo $(cat /proc/sys/kernel/hostname)'])).stdout).toBe('c2\n');
      await expect(fixture.host.instances.destroyInstance('c2')).rejects.toMatchObject({ kind: 'conflict' });
      await kill('c2');
      await fixture.host.instances.destroyInstance('c2');
      expect(existsSync(fixture.paths.logs('c2'))).toBe(false);
      expect(existsSync(fixture.state.instanceLink('container', 'c2'))).toBe(false);
    });
  });

  describe('identity of a container', () => {
    it('does not start a second one on the same root when the monitor was killed', async () => {
      // By default the kernel ends init with its monitor; a program that changes its identity is spared, and this setting spares any.
      const { spec, pid } = await start('c1', { 'raw.lxc': 'lxc.monitor.signal.pdeath = 0' });
      const monitor = readProcessStat(readProcessStat(pid)!.parent)!;
      process.kill(monitor.pid, 'SIGKILL');
      await until(() => !isAlive(monitor));
      fixture.host.close();
      rmSync(fixture.paths.record('c1'));
      fixture.host = fixture.newHost();
      await fixture.open();

      await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict' });
      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      await expect(fixture.run('c1', ['true'])).rejects.toMatchObject({ kind: 'unavailable' });

      await kill('c1');
      expect(['Z', undefined]).toContain(readProcessStat(pid)?.state);
      await fixture.host.instances.startInstance(spec);
      expect((await status('c1')).pid).not.toBe(pid);
    });

    it('kills what an earlier run left in the payload cgroup before it starts', async () => {
      const spec = await fixture.create('c1');
      const stray = spawn('sleep', ['1000'], { stdio: 'ignore' });
      const directory = `/sys/fs/cgroup/freezer/${fixture.paths.payloadCgroup('c1')}`;
      if (!existsSync('/sys/fs/cgroup/freezer')) return void stray.kill();
      mkdirSync(directory, { recursive: true });
      writeFileSync(`${directory}/cgroup.procs`, `${stray.pid}`);

      await fixture.host.instances.startInstance(spec);

      expect(stray.signalCode ?? (await new Promise((resolve) => stray.once('exit', (_, signal) => resolve(signal))))).toBe('SIGKILL');
    });

    it('takes a container for running that came up behind its back', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      shell('lxc-start', '-P', fixture.paths.lxcPath, '-n', 'c1');

      await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining('already running') });
      expect(await status('c1')).toMatchObject({ power: 'Running' });
    });

    it('does not believe lxc-start when another container answers under its name', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      // As when the same path exists in two mount namespaces: LXC's command socket knows only the text.
      const foreign = `${fixture.root}/foreign.conf`;
      const elsewhere = `${fixture.stateId}-foreign`;
      writeFileSync(foreign, readFileSync(fixture.paths.config('c1'), 'utf8').replaceAll(`roost-${fixture.stateId}`, elsewhere));
      shell('lxc-start', '-P', fixture.paths.lxcPath, '-n', 'c1', '-f', foreign);
      const theirs = Number(shell('lxc-info', '-P', fixture.paths.lxcPath, '-n', 'c1', '-p', '-H'));
      try {
        await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'internal' });
        expect(await status('c1')).toMatchObject({ power: 'Stopped', pid: 0 });
        await kill('c1');
        expect(readProcessStat(theirs)?.state).not.toBe('Z');
      } finally {
        process.kill(theirs, 'SIGKILL');
        await until(() => !existsSync(`/proc/${theirs}`));
        await until(() => shell('find', '/sys/fs/cgroup', '-depth', '-path', `*/${elsewhere}*`, '-type', 'd', '-exec', 'rmdir', '-p', '--ignore-fail-on-non-empty', '{}', ';') === '' && !shell('find', '/sys/fs/cgroup', '-maxdepth', '2').includes(elsewhere));
      }
    });

    it('keeps two members of one host apart, whose containers have the same name', async () => {
      const other = new LxcFixture();
      await other.open();
      try {
        const mine = await start('c1', { 'limits.processes': '77' });
        await other.create('c1', { 'limits.processes': '88' });
        const theirs = await other.host.instances.startInstance(other.spec('c1', { 'limits.processes': '88' }));
        expect(other.paths.lxcPath).not.toBe(fixture.paths.lxcPath);
        expect(readCgroup(mine.pid, 'pids', 'pids.max')).toBe('77');
        expect(readCgroup(theirs.pid, 'pids', 'pids.max')).toBe('88');
        expect(readProc(mine.pid, 'cgroup')).toContain(`/roost-${fixture.stateId}/c1/payload\n`);

        await fixture.host.instances.updateInstance(mine.spec, fixture.spec('c1', { 'limits.processes': '99' }));
        expect(readCgroup(theirs.pid, 'pids', 'pids.max')).toBe('88');

        await kill('c1');
        expect((await other.host.instances.describeStatus(['c1']))[0]).toMatchObject({ power: 'Running', pid: theirs.pid });
      } finally {
        await other.dispose();
      }
    });

    it('puts the LXC path where the command socket fits, however long the state directory is', async () => {
      const long = new LxcFixture(`${fixture.root}/${'x'.repeat(90)}`);
      await long.open();
      try {
        expect(long.paths.lxcPath.length).toBeLessThan(80);
        await long.create('c1');
        await long.host.instances.startInstance(long.spec('c1'));
        expect((await long.run('c1', ['echo', 'yes'])).stdout).toBe('yes\n');
      } finally {
        await long.dispose();
        expect(existsSync(long.paths.run)).toBe(false);
      }
    });

    it('never waits for an agent that does not read: a stop without one is quick', async () => {
      const { pid } = await start('c1');
      const monitor = readProcessStat(readProcessStat(pid)!.parent)!;
      fixture.host.close();
      const begun = performance.now();
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(monitor), 5000);

      expect(performance.now() - begun).toBeLessThan(2000);
      fixture.host = fixture.newHost();
      await fixture.open();
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    });

    it('never waits for an agent that does not get round to reading', async () => {
      const { pid } = await start('c1');
      const monitor = readProcessStat(readProcessStat(pid)!.parent)!;
      // Fill the FIFO behind the back of the reader, whose event loop is busy for as long as this function is.
      const fd = openSync(fixture.paths.hookFifo, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        for (;;) writeSync(fd, 'x\n'.repeat(2048));
      } catch {
        // Full.
      }
      process.kill(pid, 'SIGKILL');
      const begun = performance.now();
      while (isAlive(monitor) && performance.now() - begun < 5000) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      expect(isAlive(monitor)).toBe(false);
      closeSync(fd);
      await until(async () => (await status('c1')).power === 'Stopped');
    });
  });

  describe('what a container sees', () => {
    it('has its own ids on its root, its hostname, environment and limits', async () => {
      await start('c1', { 'environment.FOO': 'bar baz', 'limits.kernel.nofile': '1000', 'linux.sysctl.net.ipv4.ip_forward': '1' });

      const { stdout } = await fixture.run('c1', ['sh', '-c', 'stat -c %u /sbin/init; cat /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward; tr "\\0" "\\n" </proc/1/environ; grep "open files" /proc/1/limits']);

      expect(stdout).toMatch(/^0\nc1\n1\n/);
      expect(stdout).toContain('FOO=bar baz\n');
      expect(stdout).toMatch(/Max open files +1000 +1000/);
    });

    it('shifts the files where no id map can be mounted, and back', async () => {
      fixture.host.close();
      process.env['ROOST_IDMAPPED_MOUNTS_DISABLE'] = 'true';
      fixture.host = fixture.newHost();
      delete process.env['ROOST_IDMAPPED_MOUNTS_DISABLE'];
      await fixture.open();
      const { volatile } = await start('c1');
      const init = `${fixture.state.volume('p', 'container', 'c1')}/rootfs/sbin/init`;

      expect(JSON.parse(volatile['volatile.last_state.idmap']!)).toHaveLength(2);
      expect(statSync(init).uid).toBe(1_000_000);
      expect((await fixture.run('c1', ['stat', '-c', '%u', '/sbin/init'])).stdout).toBe('0\n');

      await kill('c1');
      await fixture.restartAgent();
      const again = await fixture.host.instances.startInstance(fixture.spec('c1', { 'volatile.last_state.idmap': volatile['volatile.last_state.idmap']! }));
      expect(again.volatile['volatile.last_state.idmap']).toBe('[]');
      expect(statSync(init).uid).toBe(0);
    });

    it('refuses a root that others on the host may enter', async () => {
      const spec = await fixture.create('c1');
      shell('chmod', '755', fixture.state.volume('p', 'container', 'c1'));

      await expect(fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict' });
    });

    it('runs privileged and nesting containers', async () => {
      const { pid } = await start('c1', { 'security.privileged': 'true', 'security.nesting': 'true' });

      expect(readProc(pid, 'uid_map').trim().split(/\s+/)).toEqual(['0', '0', '4294967295']);
      expect((await fixture.run('c1', ['ls', '/dev/.lxc'])).stdout).toBe('proc\nsys\n');
    });

    it('writes its console to a log that can be read and cleared', async () => {
      await start('c1');
      await until(async () => Buffer.from(await fixture.host.logs.readConsoleLog('c1')).toString().includes('booted'));
      await fixture.host.logs.clearConsoleLog('c1');
      expect((await fixture.host.logs.readConsoleLog('c1')).length).toBe(0);
    });
  });

  describe('exec', () => {
    beforeEach(() => start('c1', { 'environment.FROM_CONFIG': 'yes' }).then(() => undefined));

    it('gives a command pipes, an environment and a directory, and tells its exit code', async () => {
      const result = await fixture.run('c1', ['sh', '-c', 'env; pwd; cat; echo err >&2; exit 7'], { input: 'in\n', environment: { ASKED: '1' } });

      expect(result).toMatchObject({ exitCode: 7, stderr: 'err\n' });
      for (const line of ['FROM_CONFIG=yes', 'ASKED=1', 'HOME=/root', 'USER=root', 'LANG=C.UTF-8', 'container=lxc', '/root', 'in']) expect(result.stdout.split('\n')).toContain(line);
    });

    it('reports what cannot be run as a shell does', async () => {
      expect((await fixture.run('c1', ['/no/such'])).exitCode).toBe(127);
      expect((await fixture.run('c1', ['/etc'])).exitCode).toBe(126);
      expect((await fixture.run('c1', ['sh', '-c', 'kill -9 $$'])).exitCode).toBe(137);
    });

    it('obeys user, group and directory, and lets the program open its streams again', async () => {
      const { stdout } = await fixture.run('c1', ['sh', '-c', 'id -u; id -g; pwd; echo again >/dev/stdout'], { user: 1000, group: 1001, cwd: '/tmp' });

      expect(stdout).toBe('1000\n1001\n/tmp\nagain\n');
      expect((await fixture.run('c1', ['pwd'], { cwd: '/no/such' })).stdout).toBe('/\n');
    });

    it('carries megabytes both ways', async () => {
      const input = 'x'.repeat(5_000_000);

      expect((await fixture.run('c1', ['cat'], { input })).stdout.length).toBe(input.length);
      expect((await fixture.run('c1', ['dd', 'if=/dev/zero', 'bs=1000', 'count=20000'])).stdout.length).toBe(20_000_000);
    });

    it('leaks no descriptor of the agent', async () => {
      const { stdout } = await fixture.run('c1', ['ls', '/proc/self/fd']);

      expect(stdout.trim().split('\n')).toEqual(['0', '1', '2', '3']);
    });

    it('runs many at once', async () => {
      const results = await Promise.all(Array.from({ length: 12 }, (_, i) => fixture.run('c1', ['sh', '-c', `exit ${i}`])));

      expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    });

    it('gives a terminal with a size, and passes bytes and new sizes', async () => {
      const started = await fixture.host.exec.startExec({
        projectName: 'c1', command: ['sh', '-c', 'tty; stty size; read line; stty size; echo got $line; exit 4'], environment: { TERM: 'dumb' }, user: 0, group: 0,
        cwd: '', interactive: true, width: 100, height: 40, endpointUid: 0, endpointGid: 0,
      });
      const socket = net.connect(started.terminalPath);
      let text = '';
      socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
      const ended = new Promise((resolve) => socket.once('close', resolve));
      await until(() => text.includes('40 100'));
      expect(text).toMatch(/^\/dev\/pts\/\d+\r\n/);
      await fixture.host.exec.resizeExec(started.sessionId, 120, 50);
      socket.write('hello\n');

      expect(await fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(4);
      await ended;
      expect(text).toContain('50 120');
      expect(text).toContain('got hello');
    });

    it('hangs up when the client of a terminal goes away', async () => {
      const started = await fixture.host.exec.startExec({
        projectName: 'c1', command: ['sleep', '1000'], environment: {}, user: 0, group: 0, cwd: '', interactive: true, width: 0, height: 0, endpointUid: 0, endpointGid: 0,
      });
      const socket = net.connect(started.terminalPath);
      await new Promise((resolve) => socket.once('connect', resolve));
      await until(() => existsSync(`${fixture.paths.exec(started.sessionId)}/pid`));
      socket.destroy();

      expect(await fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(129);
    });

    it('sends signals to the process inside', async () => {
      const started = await sleeping(fixture);
      const inside = commandOf(fixture, started.sessionId);
      await fixture.host.exec.signalExec(started.sessionId, 15);

      expect(await fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(143);
      expect(isAlive(inside)).toBe(false);
      expect(existsSync(fixture.paths.exec(started.sessionId))).toBe(false);
    });

    it('keeps a command over a restart of the agent, and reports its end', async () => {
      const started = await sleeping(fixture);
      await fixture.restartAgent();
      const waiting = fixture.host.exec.waitExec(started.sessionId, noSignal);
      await fixture.host.exec.signalExec(started.sessionId, 2);

      expect(await waiting).toBe(130);
    });

    it('ends a command whose helper was killed', async () => {
      const started = await sleeping(fixture);
      const inside = commandOf(fixture, started.sessionId);
      process.kill(Number(readFileSync(`${fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ')[0]), 'SIGKILL');

      expect(await fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(137);
      await until(() => !isAlive(inside));
    });

    it('ends commands of an earlier agent whose helper is gone', async () => {
      const started = await sleeping(fixture);
      const inside = commandOf(fixture, started.sessionId);
      fixture.host.close();
      process.kill(Number(readFileSync(`${fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ')[0]), 'SIGKILL');
      fixture.host = fixture.newHost();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await fixture.open();

      await until(() => !isAlive(inside));
      expect(existsSync(fixture.paths.exec(started.sessionId))).toBe(false);
    });
  });

  describe('devices', () => {
    const bridge = `rlx${Math.random().toString(36).slice(2, 8)}`;
    beforeAll(() => { shell('ip', 'link', 'add', bridge, 'type', 'bridge'); shell('ip', 'link', 'set', bridge, 'up'); });
    afterAll(() => { shell('ip', 'link', 'del', bridge); });
    const nic = (name: string, extra: Record<string, string> = {}) => ({ name, config: { type: 'nic', nictype: 'bridged', parent: bridge, ...extra } });

    it('plugs network interfaces at the start and while it runs', async () => {
      const { spec, pid, volatile } = await start('c1', { 'volatile.eth0.hwaddr': '00:16:3e:00:00:01' }, [nic('eth0', { mtu: '1400' })]);
      const host = volatile['volatile.eth0.host_name']!;
      expect(host).toMatch(/^veth[0-9a-f]{8}$/);
      expect(existsSync(`/sys/class/net/${bridge}/brif/${host}`)).toBe(true);
      const interfaces = async () => (await fixture.host.instances.describeUsage([{ projectName: 'c1', rootDevice: 'root', rootVolume: spec.rootVolume }]))[0]!.interfaces;
      expect((await interfaces()).find(({ name }) => name === 'eth0')).toMatchObject({ hwaddr: '00:16:3e:00:00:01', mtu: 1400, hostName: host, state: 'up', type: 'broadcast' });

      const more = fixture.spec('c1', { ...spec.config, ...volatile }, [nic('eth0', { mtu: '1400' }), nic('lan', { hwaddr: '00:16:3e:00:00:02' })]);
      const change = await fixture.host.instances.updateInstance({ ...spec, config: more.config }, more);
      expect((await interfaces()).find(({ name }) => name === 'eth1')).toMatchObject({ hwaddr: '00:16:3e:00:00:02', hostName: change.volatile['volatile.lan.host_name'] });

      const fewer = fixture.spec('c1', more.config, [nic('lan', { hwaddr: '00:16:3e:00:00:02' })]);
      expect((await fixture.host.instances.updateInstance(more, fewer)).volatile).toEqual({ 'volatile.eth0.host_name': '' });
      expect(existsSync(`/sys/class/net/${host}`)).toBe(false);
      expect(readProcessStat(pid)).not.toBeNull();

      await kill('c1');
      expect(readdirSync(`/sys/class/net/${bridge}/brif`)).toEqual([]);
    });

    it('binds disks at the start and while it runs', async () => {
      const share = `${fixture.root}/share`;
      mkdirSync(share);
      writeFileSync(`${share}/file`, 'content\n');
      writeFileSync(`${fixture.root}/single`, 'one file\n');
      const disk = (name: string, path: string, extra: Record<string, string> = {}) => ({ name, config: { type: 'disk', source: share, path, ...extra } });
      const first = [disk('d1', '/mnt/with space'), disk('d2', '/data', { readonly: 'true' }), disk('d3', '/one', { source: `${fixture.root}/single` }), disk('d4', '/no', { source: '/no/such', required: 'false' })];
      const { spec } = await start('c1', {}, first);
      expect((await fixture.run('c1', ['cat', '/mnt/with space/file', '/data/file', '/one'])).stdout).toBe('content\ncontent\none file\n');
      expect((await fixture.run('c1', ['touch', '/data/new'])).exitCode).not.toBe(0);

      const after = fixture.spec('c1', {}, [...first.slice(1), disk('hot', '/a/b/c', { shift: 'true' })]);
      await fixture.host.instances.updateInstance(spec, after);
      expect((await fixture.run('c1', ['sh', '-c', 'cat /a/b/c/file; stat -c %u /a/b/c/file; echo w >/a/b/c/written; ls "/mnt/with space" | wc -l'])).stdout).toBe('content\n0\n0\n');
      expect(statSync(`${share}/written`).uid).toBe(0);

      await fixture.host.instances.updateInstance(after, fixture.spec('c1', {}, first.slice(1)));
      expect((await fixture.run('c1', ['ls', '/a/b'])).stdout).toBe('');
    });

    it('changes nothing when a part of an update fails', async () => {
      const { spec, pid } = await start('c1', { 'limits.processes': '50' });
      const after = fixture.spec('c1', { 'limits.processes': '60' }, [{ name: 'd1', config: { type: 'disk', source: '/no/such', path: '/x' } }]);

      await expect(fixture.host.instances.updateInstance(spec, after)).rejects.toMatchObject({ message: expect.stringContaining('Missing source path "/no/such" for disk "d1"') });
      expect(readCgroup(pid, 'pids', 'pids.max')).toBe('50');
    });

    it('does not follow a link inside the container to the host', async () => {
      await fixture.create('c1');
      const rootfs = `${fixture.state.volume('p', 'container', 'c1')}/rootfs`;
      const outside = `${fixture.root}/outside`;
      mkdirSync(outside);
      symlinkSync(outside, `${rootfs}/escape`);
      const before = fixture.spec('c1');
      await fixture.host.instances.startInstance(before);
      const share = `${fixture.root}/share`;
      mkdirSync(share);
      const after = fixture.spec('c1', {}, [{ name: 'd1', config: { type: 'disk', source: share, path: '/escape/x' } }]);
      await fixture.host.instances.updateInstance(before, after).catch(() => undefined);

      expect(readdirSync(outside)).toEqual([]);
    });
  });

  describe('limits', () => {
    it('applies them at the start and changes them live', async () => {
      const { spec, pid } = await start('c1', { 'limits.memory': '100MB', 'limits.cpu.allowance': '25ms/100ms', 'limits.processes': '50', 'limits.cpu': '1' });
      if (!existsSync('/sys/fs/cgroup/memory')) return;
      expect(readCgroup(pid, 'memory', 'memory.limit_in_bytes')).toBe('99999744');
      expect(readCgroup(pid, 'cpu', 'cpu.cfs_quota_us')).toBe('25000');
      expect(readCgroup(pid, 'cpuset', 'cpuset.cpus')).toMatch(/^\d$/);

      const up = fixture.spec('c1', { 'limits.memory': '200MB', 'limits.cpu.allowance': '20%', 'limits.cpu': '0-1' });
      await fixture.host.instances.updateInstance(spec, up);
      expect(readCgroup(pid, 'memory', 'memory.limit_in_bytes')).toBe('199999488');
      expect(readCgroup(pid, 'cpu', 'cpu.shares')).toBe('204');
      expect(readCgroup(pid, 'cpu', 'cpu.cfs_quota_us')).toBe('-1');
      expect(readCgroup(pid, 'pids', 'pids.max')).toBe('max');
      expect(readCgroup(pid, 'cpuset', 'cpuset.cpus')).toBe('0-1');

      await expect(fixture.host.instances.updateInstance(up, fixture.spec('c1', { 'limits.memory': '100kB' }))).rejects.toMatchObject({ kind: 'internal' });
      expect(readCgroup(pid, 'memory', 'memory.limit_in_bytes')).toBe('199999488');

      await fixture.host.instances.updateInstance(up, fixture.spec('c1', {}));
      expect(Number(readCgroup(pid, 'memory', 'memory.limit_in_bytes'))).toBeGreaterThan(2 ** 60);
    });
  });
});

/** The kernel drops signals for which a container's init has no handler yet; the fixture's handles SIGTERM (15) last. */
function listening(pid: number): Promise<void> {
  return until(() => (BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(readProc(pid, 'status'))![1]}`) >> 14n & 1n) === 1n);
}

function collectEvents(fixture: LxcFixture): { list: InstanceEvent[]; stop: () => void } {
  const controller = new AbortController();
  const list: InstanceEvent[] = [];
  void (async () => { for await (const event of fixture.host.instances.watchInstances(controller.signal)) list.push(event); })();
  return { list, stop: () => controller.abort() };
}

async function sleeping(fixture: LxcFixture) {
  const started = await fixture.host.exec.startExec({
    projectName: 'c1', command: ['sleep', '1000'], environment: {}, user: 0, group: 0, cwd: '', interactive: false, width: 0, height: 0, endpointUid: 0, endpointGid: 0,
  });
  openSync(started.stdinPath, constants.O_WRONLY | constants.O_NONBLOCK);
  openSync(started.stdoutPath, constants.O_RDONLY | constants.O_NONBLOCK);
  openSync(started.stderrPath, constants.O_RDONLY | constants.O_NONBLOCK);
  await until(() => existsSync(`${fixture.paths.exec(started.sessionId)}/pid`));
  await until(() => readProc(commandOf(fixture, started.sessionId).pid, 'comm').trim() === 'sleep');
  return started;
}

function commandOf(fixture: LxcFixture, sessionId: string) {
  return readProcessStat(Number(readFileSync(`${fixture.paths.exec(sessionId)}/pid`, 'utf8').split(' ')[0]))!;
}

function lastKnown(fixture: LxcFixture, name: string): { pid: number } {
  return (JSON.parse(readFileSync(fixture.paths.record(name), 'utf8')) as { running: { init: { pid: number } } }).running.init;
}

function payloadPids(fixture: LxcFixture, name: string): string[] {
  const [directory] = ['freezer', 'unified', ''].map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/${fixture.paths.payloadCgroup(name)}`).filter((path) => existsSync(path));
  return directory === undefined ? [] : readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter((line) => line !== '');
}

function readCgroup(pid: number, controller: string, file: string): string {
  const path = new RegExp(`^\\d+:${controller}:(.*)$`, 'm').exec(readProc(pid, 'cgroup'))?.[1];
  return readFileSync(`/sys/fs/cgroup/${path === undefined ? /^0::(.*)$/m.exec(readProc(pid, 'cgroup'))?.[1] : `${controller}${path}`}/${file}`, 'utf8').trim();
}

function leftCgroups(stateId: string): string[] {
  return shell('find', '/sys/fs/cgroup', '-maxdepth', '3', '-path', `*roost-${stateId}*`).split('\n').filter((line) => line !== '');
}

function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(directory));
}
