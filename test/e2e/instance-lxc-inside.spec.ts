import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { isAlive, readProcessStat } from '#host';
import { unmet } from '../support/needs.js';
import { memoryOf, openGate, readAll, readProc, shell, until, whyNoContainers } from '../support/lxc-fixture.js';
import { LxcContainers, sleeping, commandOf } from '../support/lxc-containers.js';

const noSignal = new AbortController().signal;

describe.skipIf(unmet('inside of containers by LXC', whyNoContainers()))('inside of containers by LXC', () => {
  const lxc = new LxcContainers();
  const { start, kill } = lxc;

  describe('what a container sees', () => {
    it('has its own ids on its root, its hostname, environment and limits', async () => {
      await start('c1', { 'environment.FOO': 'bar baz', 'limits.kernel.nofile': '1000', 'linux.sysctl.net.ipv4.ip_forward': '1' });

      const { stdout } = await lxc.fixture.run('c1', ['sh', '-c', 'stat -c %u /sbin/init; cat /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward; tr "\\0" "\\n" </proc/1/environ; grep "open files" /proc/1/limits']);

      expect(stdout).toMatch(/^0\nc1\n1\n/);
      expect(stdout).toContain('FOO=bar baz\n');
      expect(stdout).toMatch(/Max open files +1000 +1000/);
    });

    it('shifts the files where no id map can be mounted, and back', async () => {
      lxc.fixture.host.close();
      process.env['ROOST_IDMAPPED_MOUNTS_DISABLE'] = 'true';
      lxc.fixture.host = lxc.fixture.newHost();
      delete process.env['ROOST_IDMAPPED_MOUNTS_DISABLE'];
      await lxc.fixture.open();
      const { volatile } = await start('c1');
      const init = `${lxc.fixture.state.volume('p', 'container', 'c1')}/rootfs/sbin/init`;

      expect(JSON.parse(volatile['volatile.last_state.idmap']!)).toHaveLength(2);
      expect(statSync(init).uid).toBe(1_000_000);
      expect((await lxc.fixture.run('c1', ['stat', '-c', '%u', '/sbin/init'])).stdout).toBe('0\n');

      await kill('c1');
      await lxc.fixture.restartAgent();
      const again = await lxc.fixture.host.instances.startInstance(lxc.fixture.spec('c1', { 'volatile.last_state.idmap': volatile['volatile.last_state.idmap']! }));
      expect(again.volatile['volatile.last_state.idmap']).toBe('[]');
      expect(statSync(init).uid).toBe(0);
    });

    it('refuses a root that others on the host may enter', async () => {
      const spec = await lxc.fixture.create('c1');
      shell('chmod', '755', lxc.fixture.state.volume('p', 'container', 'c1'));

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict' });
    });

    it('runs privileged and nesting containers', async () => {
      const { pid } = await start('c1', { 'security.privileged': 'true', 'security.nesting': 'true' });

      expect(readProc(pid, 'uid_map').trim().split(/\s+/)).toEqual(['0', '0', '4294967295']);
      expect((await lxc.fixture.run('c1', ['ls', '/dev/.lxc'])).stdout).toBe('proc\nsys\n');
    });

    it('writes its console to a log that can be read and cleared', async () => {
      await start('c1');
      await until(async () => Buffer.from(await lxc.fixture.host.logs.readConsoleLog('c1')).toString().includes('booted'));
      await lxc.fixture.host.logs.clearConsoleLog('c1');
      expect((await lxc.fixture.host.logs.readConsoleLog('c1')).length).toBe(0);
    });
  });

  describe('exec', () => {
    beforeEach(() => start('c1', { 'environment.FROM_CONFIG': 'yes' }).then(() => undefined));

    it('gives a command pipes, an environment and a directory, and tells its exit code', async () => {
      const result = await lxc.fixture.run('c1', ['sh', '-c', 'env; pwd; cat; echo err >&2; exit 7'], { input: 'in\n', environment: { ASKED: '1' } });

      expect(result).toMatchObject({ exitCode: 7, stderr: 'err\n' });
      for (const line of ['FROM_CONFIG=yes', 'ASKED=1', 'HOME=/root', 'USER=root', 'LANG=C.UTF-8', 'container=lxc', '/root', 'in']) expect(result.stdout.split('\n')).toContain(line);
    });

    it('reports what cannot be run as a shell does', async () => {
      expect((await lxc.fixture.run('c1', ['/no/such'])).exitCode).toBe(127);
      expect((await lxc.fixture.run('c1', ['/etc'])).exitCode).toBe(126);
      expect((await lxc.fixture.run('c1', ['sh', '-c', 'kill -9 $$'])).exitCode).toBe(137);
    });

    it('obeys user, group and directory, and lets the program open its streams again', async () => {
      const { stdout } = await lxc.fixture.run('c1', ['sh', '-c', 'id -u; id -g; pwd; echo again >/dev/stdout'], { user: 1000, group: 1001, cwd: '/tmp' });

      expect(stdout).toBe('1000\n1001\n/tmp\nagain\n');
      expect((await lxc.fixture.run('c1', ['pwd'], { cwd: '/no/such' })).stdout).toBe('/\n');
    });

    it('carries megabytes both ways', async () => {
      const input = 'x'.repeat(5_000_000);

      expect((await lxc.fixture.run('c1', ['cat'], { input })).stdout.length).toBe(input.length);
      expect((await lxc.fixture.run('c1', ['dd', 'if=/dev/zero', 'bs=1000', 'count=20000'])).stdout.length).toBe(20_000_000);
    });

    it('leaks no descriptor of the agent', async () => {
      const { stdout } = await lxc.fixture.run('c1', ['ls', '/proc/self/fd']);

      expect(stdout.trim().split('\n')).toEqual(['0', '1', '2', '3']);
    });

    it('runs many at once', async () => {
      const results = await Promise.all(Array.from({ length: 12 }, (_, i) => lxc.fixture.run('c1', ['sh', '-c', `exit ${i}`])));

      expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    });

    it('gives a terminal with a size, and passes bytes and new sizes', async () => {
      const started = await lxc.fixture.host.exec.startExec({
        projectName: 'c1', command: ['sh', '-c', 'tty; stty size; read line; stty size; echo got $line; exit 4'], environment: { TERM: 'dumb' }, user: 0, group: 0,
        cwd: '', interactive: true, ends: 'all', width: 100, height: 40, endpointUid: 0, endpointGid: 0,
      });
      const socket = net.connect(started.terminalPath);
      let text = '';
      socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
      const ended = new Promise((resolve) => socket.once('close', resolve));
      await until(() => text.includes('40 100'));
      expect(text).toMatch(/^\/dev\/pts\/\d+\r\n/);
      await lxc.fixture.host.exec.resizeExec(started.sessionId, 120, 50);
      socket.write('hello\n');

      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(4);
      await ended;
      expect(text).toContain('50 120');
      expect(text).toContain('got hello');
    });

    it('hangs up when the client of a terminal goes away', async () => {
      const started = await lxc.fixture.host.exec.startExec({
        projectName: 'c1', command: ['sleep', '1000'], environment: {}, user: 0, group: 0, cwd: '', interactive: true, ends: 'all', width: 0, height: 0, endpointUid: 0, endpointGid: 0,
      });
      const socket = net.connect(started.terminalPath);
      await new Promise((resolve) => socket.once('connect', resolve));
      await until(() => existsSync(`${lxc.fixture.paths.exec(started.sessionId)}/pid`));
      socket.destroy();

      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(129);
    });

    it('sends signals to the process inside', async () => {
      const started = await sleeping(lxc.fixture);
      const inside = commandOf(lxc.fixture, started.sessionId);
      await lxc.fixture.host.exec.signalExec(started.sessionId, 15);

      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(143);
      expect(isAlive(inside)).toBe(false);
      expect(existsSync(lxc.fixture.paths.exec(started.sessionId))).toBe(false);
    });

    it('keeps a command over a restart of the agent, and reports its end', async () => {
      const started = await sleeping(lxc.fixture);
      await lxc.fixture.restartAgent();
      const waiting = lxc.fixture.host.exec.waitExec(started.sessionId, noSignal);
      await lxc.fixture.host.exec.signalExec(started.sessionId, 2);

      expect(await waiting).toBe(130);
    });

    it('gives /dev/null for streams without an end outside, one that can be opened again', async () => {
      const look = 'for fd in 0 1 2; do readlink /proc/self/fd/$fd; done >/tmp/seen; echo again >/dev/stderr; echo $? >>/tmp/seen';

      expect(await lxc.fixture.run('c1', ['sh', '-c', look], { ends: 'none' })).toEqual({ exitCode: 0, stdout: '', stderr: '' });
      expect((await lxc.fixture.run('c1', ['cat', '/tmp/seen'], { ends: 'output' })).stdout).toBe('/dev/null\n/tmp/seen\n/dev/null\n0\n');
    });

    it('starts a command only when its streams were opened', async () => {
      const started = await lxc.fixture.host.exec.startExec({
        projectName: 'c1', command: ['sh', '-c', 'echo early >/tmp/early; echo all'], environment: {}, user: 0, group: 0, cwd: '', interactive: false, ends: 'output',
        width: 0, height: 0, endpointUid: 0, endpointGid: 0,
      });
      await until(() => existsSync(`${lxc.fixture.paths.exec(started.sessionId)}/pid`));
      expect((await lxc.fixture.run('c1', ['cat', '/tmp/early'])).exitCode).toBe(1);
      const outputs = [readAll(started.stdoutPath), readAll(started.stderrPath)];
      openGate(started);

      expect(await Promise.all(outputs)).toEqual(['all\n', '']);
      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(0);
    });

    it('goes on when its directory was cleaned away', async () => {
      rmSync(lxc.fixture.paths.sessionRun, { recursive: true });

      expect((await lxc.fixture.run('c1', ['echo', 'still'])).stdout).toBe('still\n');
    });

    it('keeps what one session was told out of the next', async () => {
      await lxc.fixture.run('c1', ['true'], { environment: { SECRET: `s3cr3t${'x'.repeat(300)}` } });
      const started = await sleeping(lxc.fixture);
      const [helper] = readFileSync(`${lxc.fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ');

      expect(memoryOf(Number(helper)).includes('s3cr3tx')).toBe(false);
      await lxc.fixture.host.exec.signalExec(started.sessionId, 9);
      await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal);
    });

    it('keeps commands when the server of sessions is killed, and starts another', async () => {
      const started = await sleeping(lxc.fixture);
      const helper = Number(readFileSync(`${lxc.fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ')[0]);
      const server = readProcessStat(helper)!.parent;
      process.kill(server, 'SIGKILL');
      await until(() => readProcessStat(helper)?.parent !== server);

      expect((await lxc.fixture.run('c1', ['echo', 'still'])).stdout).toBe('still\n');
      await lxc.fixture.host.exec.signalExec(started.sessionId, 2);
      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(130);
    });

    it('ends a command whose helper was killed', async () => {
      const started = await sleeping(lxc.fixture);
      const inside = commandOf(lxc.fixture, started.sessionId);
      process.kill(Number(readFileSync(`${lxc.fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ')[0]), 'SIGKILL');

      expect(await lxc.fixture.host.exec.waitExec(started.sessionId, noSignal)).toBe(137);
      await until(() => !isAlive(inside));
    });

    it('ends commands of an earlier agent whose helper is gone', async () => {
      const started = await sleeping(lxc.fixture);
      const inside = commandOf(lxc.fixture, started.sessionId);
      lxc.fixture.host.close();
      process.kill(Number(readFileSync(`${lxc.fixture.paths.exec(started.sessionId)}/helper`, 'utf8').split(' ')[0]), 'SIGKILL');
      lxc.fixture.host = lxc.fixture.newHost();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await lxc.fixture.open();

      await until(() => !isAlive(inside));
      expect(existsSync(lxc.fixture.paths.exec(started.sessionId))).toBe(false);
    });
  });
});
