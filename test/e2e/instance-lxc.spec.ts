import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isAlive, readProcessStat } from '#host';
import { unmet } from '../support/needs.js';
import { LxcFixture, readProc, shell, until, whyNoContainers } from '../support/lxc-fixture.js';
import { LxcContainers, listening, collectEvents, lastKnown, payloadPids, readCgroup, leftCgroups } from '../support/lxc-containers.js';

describe.skipIf(unmet('containers by LXC', whyNoContainers()))('containers by LXC', () => {
  const lxc = new LxcContainers();
  const { start, kill, status } = lxc;

  describe('power', () => {
    it('starts, tells its pid and time, and leaves nothing when killed', async () => {
      const { pid, volatile } = await start('c1');

      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      expect(Math.abs(Date.parse((await status('c1')).startedAt) - Date.now())).toBeLessThan(10_000);
      expect(volatile).toMatchObject({ 'volatile.last_state.idmap': '[]' });
      expect(readProc(pid, 'uid_map').trim().split(/\s+/)).toEqual(['0', '1000000', '65536']);
      // LXC wrote that itself: starting shadow's tools takes longer than most of the rest.
      expect(readFileSync(`${lxc.fixture.state.logs('c1')}/lxc.log`, 'utf8')).toMatch(/newuidmap (is lacking necessary privileges|binary is missing)/);

      await kill('c1');

      expect(await status('c1')).toMatchObject({ power: 'Stopped', pid: 0 });
      expect(leftCgroups(lxc.fixture.stateId).filter((path) => path.includes('/c1'))).toEqual([]);
      await kill('c1');
    });

    it('refuses a second start', async () => {
      const { spec } = await start('c1');

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining('already running') });
    });

    it('refuses a specification from before the instance was moved here', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      await lxc.fixture.host.instances.updateInstance(spec, { ...spec, placementEpoch: 7 });

      await expect(lxc.fixture.host.instances.startInstance({ ...spec, placementEpoch: 6 })).rejects.toMatchObject({ kind: 'conflict' });
    });

    it('refuses to start what has left until it is made known again', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      await lxc.fixture.host.instances.destroyInstance('c1');

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict' });
      await lxc.fixture.host.instances.createInstance(spec);
      await lxc.fixture.host.instances.startInstance(spec);
    });

    it('leaves nothing behind when a start fails', async () => {
      const spec = await lxc.fixture.create('c1', { 'raw.lxc': 'lxc.net.0.type = veth\nlxc.net.0.link = nosuchbridge' });

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'internal' });

      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
      expect(leftCgroups(lxc.fixture.stateId).filter((path) => path.includes('/c1'))).toEqual([]);
    });

    it('stops cleanly, and tells when that takes too long', async () => {
      await start('c1');
      await lxc.fixture.host.instances.stopInstance({ projectName: 'c1', clean: true, timeoutMs: 5000 });
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });

      const spec = await lxc.fixture.create('deaf');
      writeFileSync(`${lxc.fixture.state.volume('p', 'container', 'deaf')}/rootfs/sbin/init`, '#!/bin/sh\ntrap "" PWR\nwhile :; do sleep 1000; done\n');
      await lxc.fixture.host.instances.startInstance(spec);
      await expect(lxc.fixture.host.instances.stopInstance({ projectName: 'deaf', clean: true, timeoutMs: 200 })).rejects.toMatchObject({ kind: 'unavailable' });
      expect(await status('deaf')).toMatchObject({ power: 'Running' });
    });

    it('kills while a clean stop waits', async () => {
      const spec = await lxc.fixture.create('deaf');
      writeFileSync(`${lxc.fixture.state.volume('p', 'container', 'deaf')}/rootfs/sbin/init`, '#!/bin/sh\ntrap "" PWR\nwhile :; do sleep 1000; done\n');
      await lxc.fixture.host.instances.startInstance(spec);
      const clean = lxc.fixture.host.instances.stopInstance({ projectName: 'deaf', clean: true, timeoutMs: 0 });

      await kill('deaf');
      await clean;
    });

    it('freezes, thaws, and kills what is frozen', async () => {
      await start('c1');
      await lxc.fixture.host.instances.freezeInstance('c1');
      expect(await status('c1')).toMatchObject({ power: 'Frozen' });
      await lxc.fixture.host.instances.unfreezeInstance('c1');
      expect(await status('c1')).toMatchObject({ power: 'Running' });

      await lxc.fixture.host.instances.freezeInstance('c1');
      await kill('c1');
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    });

    it('notices an end from inside within 100 ms', async () => {
      const events = collectEvents(lxc.fixture);
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

      const events = collectEvents(lxc.fixture);
      await listening((await status('c1')).pid);
      process.kill((await status('c1')).pid, 'SIGTERM');
      await until(() => events.list.some(({ event }) => event === 'rebooting'));
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
      events.stop();
    });

    it('reboots by LXC alone while there is no agent', async () => {
      const { pid } = await start('c1');
      lxc.fixture.host.close();
      process.kill(pid, 'SIGTERM');
      await until(() => !existsSync(`/proc/${pid}`));
      lxc.fixture.host = lxc.fixture.newHost();
      await until(() => payloadPids(lxc.fixture, 'c1').length > 0);
      await lxc.fixture.open();

      expect((await status('c1')).pid).not.toBe(pid);
      expect(await status('c1')).toMatchObject({ power: 'Running' });
    });

    it('finds running containers again after a restart of the agent', async () => {
      const { pid } = await start('c1');
      await start('c2');
      lxc.fixture.host.close();
      const ended = readProcessStat(lastKnown(lxc.fixture, 'c2').pid)!;
      process.kill(ended.pid, 'SIGKILL');
      await until(() => !isAlive(ended));
      lxc.fixture.host = lxc.fixture.newHost();
      await lxc.fixture.open();

      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      expect(await status('c2')).toMatchObject({ power: 'Stopped' });
      expect((await lxc.fixture.run('c1', ['echo', 'still here'])).stdout).toBe('still here\n');
    });

    it('renames a stopped instance and destroys it', async () => {
      const before = await lxc.fixture.create('c1');
      shell('mv', lxc.fixture.state.volume('p', 'container', 'c1'), lxc.fixture.state.volume('p', 'container', 'c2'));
      const after = lxc.fixture.spec('c2');

      await lxc.fixture.host.instances.renameInstance(before, { ...after, id: before.id });
      await lxc.fixture.host.instances.startInstance({ ...after, id: before.id });
      expect((await lxc.fixture.run('c2', ['sh', '-c', 'echo $(cat /proc/sys/kernel/hostname)'])).stdout).toBe('c2\n');
      await expect(lxc.fixture.host.instances.destroyInstance('c2')).rejects.toMatchObject({ kind: 'conflict' });
      await kill('c2');
      await lxc.fixture.host.instances.destroyInstance('c2');
      expect(existsSync(lxc.fixture.paths.logs('c2'))).toBe(false);
      expect(existsSync(lxc.fixture.state.instanceLink('container', 'c2'))).toBe(false);
    });
  });

  describe('identity of a container', () => {
    it('does not start a second one on the same root when the monitor was killed', async () => {
      // By default the kernel ends init with its monitor; a program that changes its identity is spared, and this setting spares any.
      const { spec, pid } = await start('c1', { 'raw.lxc': 'lxc.monitor.signal.pdeath = 0' });
      const monitor = readProcessStat(readProcessStat(pid)!.parent)!;
      process.kill(monitor.pid, 'SIGKILL');
      await until(() => !isAlive(monitor));
      lxc.fixture.host.close();
      rmSync(lxc.fixture.paths.record('c1'));
      lxc.fixture.host = lxc.fixture.newHost();
      await lxc.fixture.open();

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict' });
      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      await expect(lxc.fixture.run('c1', ['true'])).rejects.toMatchObject({ kind: 'unavailable' });

      await kill('c1');
      expect(['Z', undefined]).toContain(readProcessStat(pid)?.state);
      await lxc.fixture.host.instances.startInstance(spec);
      expect((await status('c1')).pid).not.toBe(pid);
    });

    it('kills what an earlier run left in the payload cgroup before it starts', async () => {
      const spec = await lxc.fixture.create('c1');
      const stray = spawn('sleep', ['1000'], { stdio: 'ignore' });
      const directory = `/sys/fs/cgroup/freezer/${lxc.fixture.paths.payloadCgroup('c1')}`;
      if (!existsSync('/sys/fs/cgroup/freezer')) return void stray.kill();
      mkdirSync(directory, { recursive: true });
      writeFileSync(`${directory}/cgroup.procs`, `${stray.pid}`);

      await lxc.fixture.host.instances.startInstance(spec);

      expect(stray.signalCode ?? (await new Promise((resolve) => stray.once('exit', (_, signal) => resolve(signal))))).toBe('SIGKILL');
    });

    it('takes a container for running that came up behind its back', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      shell('lxc-start', '-P', lxc.fixture.paths.lxcPath, '-n', 'c1');

      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining('already running') });
      expect(await status('c1')).toMatchObject({ power: 'Running' });
    });

    it('does not believe lxc-start when another container answers under its name', async () => {
      const { spec } = await start('c1');
      await kill('c1');
      // As when the same path exists in two mount namespaces: LXC's command socket knows only the text.
      const foreign = `${lxc.fixture.root}/foreign.conf`;
      const elsewhere = `${lxc.fixture.stateId}-foreign`;
      writeFileSync(foreign, readFileSync(lxc.fixture.paths.config('c1'), 'utf8').replaceAll(`roost-${lxc.fixture.stateId}`, elsewhere));
      shell('lxc-start', '-P', lxc.fixture.paths.lxcPath, '-n', 'c1', '-f', foreign);
      const theirs = Number(shell('lxc-info', '-P', lxc.fixture.paths.lxcPath, '-n', 'c1', '-p', '-H'));
      try {
        await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({ kind: 'internal' });
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
        expect(other.paths.lxcPath).not.toBe(lxc.fixture.paths.lxcPath);
        expect(readCgroup(mine.pid, 'pids', 'pids.max')).toBe('77');
        expect(readCgroup(theirs.pid, 'pids', 'pids.max')).toBe('88');
        expect(readProc(mine.pid, 'cgroup')).toContain(`/roost-${lxc.fixture.stateId}/c1/payload\n`);

        await lxc.fixture.host.instances.updateInstance(mine.spec, lxc.fixture.spec('c1', { 'limits.processes': '99' }));
        expect(readCgroup(theirs.pid, 'pids', 'pids.max')).toBe('88');

        await kill('c1');
        expect((await other.host.instances.describeStatus(['c1']))[0]).toMatchObject({ power: 'Running', pid: theirs.pid });
      } finally {
        await other.dispose();
      }
    });

    it('puts the LXC path where the command socket fits, however long the state directory is', async () => {
      const long = new LxcFixture(`${lxc.fixture.root}/${'x'.repeat(90)}`);
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
      lxc.fixture.host.close();
      const begun = performance.now();
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(monitor), 5000);

      expect(performance.now() - begun).toBeLessThan(2000);
      lxc.fixture.host = lxc.fixture.newHost();
      await lxc.fixture.open();
      expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    });

    it('never waits for an agent that does not get round to reading', async () => {
      const { pid } = await start('c1');
      const monitor = readProcessStat(readProcessStat(pid)!.parent)!;
      // Fill the FIFO behind the back of the reader, whose event loop is busy for as long as this function is.
      const fd = openSync(lxc.fixture.paths.hookFifo, constants.O_WRONLY | constants.O_NONBLOCK);
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
});
