import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readProcessStat } from '#host';
import { messageOf } from '#kernel';
import { unmet } from '../support/needs.js';
import { shell, whyNoContainers } from '../support/lxc-fixture.js';
import { LxcContainers, readCgroup } from '../support/lxc-containers.js';

describe.skipIf(unmet('devices of containers by LXC', whyNoContainers()))('devices of containers by LXC', () => {
  const lxc = new LxcContainers();
  const { start, kill } = lxc;

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
      const interfaces = async () => (await lxc.fixture.host.instances.describeUsage([{ projectName: 'c1', rootDevice: 'root', rootVolume: spec.rootVolume }]))[0]!.interfaces;
      expect((await interfaces()).find(({ name }) => name === 'eth0')).toMatchObject({ hwaddr: '00:16:3e:00:00:01', mtu: 1400, hostName: host, state: 'up', type: 'broadcast' });

      const more = lxc.fixture.spec('c1', { ...spec.config, ...volatile }, [nic('eth0', { mtu: '1400' }), nic('lan', { hwaddr: '00:16:3e:00:00:02' })]);
      const change = await lxc.fixture.host.instances.updateInstance({ ...spec, config: more.config }, more);
      expect((await interfaces()).find(({ name }) => name === 'eth1')).toMatchObject({ hwaddr: '00:16:3e:00:00:02', hostName: change.volatile['volatile.lan.host_name'] });

      const fewer = lxc.fixture.spec('c1', more.config, [nic('lan', { hwaddr: '00:16:3e:00:00:02' })]);
      expect((await lxc.fixture.host.instances.updateInstance(more, fewer)).volatile).toEqual({ 'volatile.eth0.host_name': '' });
      expect(existsSync(`/sys/class/net/${host}`)).toBe(false);
      expect(readProcessStat(pid)).not.toBeNull();

      await kill('c1');
      expect(readdirSync(`/sys/class/net/${bridge}/brif`)).toEqual([]);
    });

    it('binds disks at the start and while it runs', async () => {
      const share = `${lxc.fixture.root}/share`;
      mkdirSync(share);
      writeFileSync(`${share}/file`, 'content\n');
      writeFileSync(`${lxc.fixture.root}/single`, 'one file\n');
      const disk = (name: string, path: string, extra: Record<string, string> = {}) => ({ name, config: { type: 'disk', source: share, path, ...extra } });
      const first = [disk('d1', '/mnt/with space'), disk('d2', '/data', { readonly: 'true' }), disk('d3', '/one', { source: `${lxc.fixture.root}/single` }), disk('d4', '/no', { source: '/no/such', required: 'false' })];
      const { spec } = await start('c1', {}, first);
      expect((await lxc.fixture.run('c1', ['cat', '/mnt/with space/file', '/data/file', '/one'])).stdout).toBe('content\ncontent\none file\n');
      expect((await lxc.fixture.run('c1', ['touch', '/data/new'])).exitCode).not.toBe(0);

      const after = lxc.fixture.spec('c1', {}, [...first.slice(1), disk('hot', '/a/b/c', { shift: 'true' })]);
      await lxc.fixture.host.instances.updateInstance(spec, after);
      expect((await lxc.fixture.run('c1', ['sh', '-c', 'cat /a/b/c/file; stat -c %u /a/b/c/file; echo w >/a/b/c/written; ls "/mnt/with space" | wc -l'])).stdout).toBe('content\n0\n0\n');
      expect(statSync(`${share}/written`).uid).toBe(0);

      await lxc.fixture.host.instances.updateInstance(after, lxc.fixture.spec('c1', {}, first.slice(1)));
      expect((await lxc.fixture.run('c1', ['ls', '/a/b'])).stdout).toBe('');
    });

    it('takes no disk from beyond where it may come from, while somebody changes links', async () => {
      const parent = `${lxc.fixture.root}/allowed`;
      for (const [directory, text] of [[`${parent}/sub`, 'shown'], [`${lxc.fixture.root}/beyond`, 'hidden']] as const) {
        mkdirSync(directory, { recursive: true });
        writeFileSync(`${directory}/file`, text);
      }
      symlinkSync('sub', `${parent}/link`);
      const { spec } = await start('c1', {}, []);
      const withDisk = lxc.fixture.spec('c1', {}, [{ name: 'd1', config: { type: 'disk', source: `${parent}/link`, path: '/d1' }, restrictedParent: parent }]);
      const swapper = spawn('sh', ['-c', 'while :; do ln -sfn ../beyond a && mv -T a link; ln -sfn sub b && mv -T b link; done'], { cwd: parent, stdio: 'ignore' });
      const seen = new Set<string>();
      try {
        for (let i = 0; i < 40; i++) {
          const refusal = await lxc.fixture.host.instances.updateInstance(spec, withDisk).then(() => '', messageOf);
          if (refusal === '') {
            seen.add((await lxc.fixture.run('c1', ['cat', '/d1/file'])).stdout);
            await lxc.fixture.host.instances.updateInstance(withDisk, spec);
          } else seen.add(refusal);
        }
      } finally {
        swapper.kill('SIGKILL');
      }
      expect([...seen].filter((one) => one !== 'shown' && !one.includes(`resolves outside of restricted parent source path "${parent}"`))).toEqual([]);
    });

    it('mounts the block device it has judged, while somebody changes names', async () => {
      const parent = `${lxc.fixture.root}/allowed`;
      const [shown, hidden] = ['shown', 'hidden'].map((text) => {
        mkdirSync(`${lxc.fixture.root}/${text}`);
        writeFileSync(`${lxc.fixture.root}/${text}/file`, text);
        shell('truncate', '-s', '4M', `${lxc.fixture.root}/${text}.image`);
        shell('mkfs.ext4', '-q', '-d', `${lxc.fixture.root}/${text}`, `${lxc.fixture.root}/${text}.image`);
        return shell('losetup', '-f', '--show', `${lxc.fixture.root}/${text}.image`).trim();
      });
      try {
        mkdirSync(parent);
        const numbers = statSync(shown!).rdev;
        shell('mknod', `${parent}/disk`, 'b', `${numbers >> 8}`, `${numbers & 0xff}`);
        shell('cp', '-a', `${parent}/disk`, `${parent}/kept`);
        const { spec } = await start('c1', {}, []);
        const withDisk = lxc.fixture.spec('c1', {}, [{ name: 'd1', config: { type: 'disk', source: `${parent}/disk`, path: '/d1' }, restrictedParent: parent }]);
        const swapper = spawn('sh', ['-c', `while :; do ln -sfn ${hidden} a && mv -T a disk; cp -a kept b && mv -T b disk; done`], { cwd: parent, stdio: 'ignore' });
        const seen = new Set<string>();
        try {
          for (let i = 0; i < 20; i++) {
            const refusal = await lxc.fixture.host.instances.updateInstance(spec, withDisk).then(() => '', messageOf);
            if (refusal === '') {
              seen.add((await lxc.fixture.run('c1', ['cat', '/d1/file'])).stdout);
              await lxc.fixture.host.instances.updateInstance(withDisk, spec);
            } else if (!refusal.includes('resolves outside of restricted parent source path')) seen.add(refusal);
          }
        } finally {
          swapper.kill('SIGKILL');
        }
        expect([...seen].filter((one) => one !== 'shown')).toEqual([]);
        expect(readdirSync(lxc.fixture.state.run).filter((name) => name.startsWith('block-'))).toEqual([]);
      } finally {
        await kill('c1');
        for (const device of [shown, hidden]) shell('losetup', '-d', device!);
      }
    });

    it('mounts block devices of the host, and takes them away', async () => {
      const image = `${lxc.fixture.root}/image`;
      shell('truncate', '-s', '16M', image);
      shell('mkfs.ext4', '-q', '-E', 'root_owner=1000000:1000000', image);
      const device = shell('losetup', '-f', '--show', image).trim();
      try {
        const disk = (path: string, extra: Record<string, string> = {}) => ({ name: 'd1', config: { type: 'disk', source: device, path, ...extra } });
        const { spec } = await start('c1', {}, [disk('/cold')]);
        expect((await lxc.fixture.run('c1', ['sh', '-c', 'echo kept >/cold/file; ls /cold'])).stdout).toBe('file\nlost+found\n');
        const hot = lxc.fixture.spec('c1', {}, [disk('/hot', { readonly: 'true', 'raw.mount.options': 'noatime' })]);
        await lxc.fixture.host.instances.updateInstance(spec, hot);
        expect((await lxc.fixture.run('c1', ['sh', '-c', 'cat /hot/file; grep " /hot " /proc/mounts'])).stdout).toMatch(/^kept\n\S+ \/hot ext4 ro,noatime/);
        await lxc.fixture.host.instances.updateInstance(hot, lxc.fixture.spec('c1'));
        expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(device);
        shell('wipefs', '-qa', device);
        await expect(lxc.fixture.host.instances.updateInstance(lxc.fixture.spec('c1'), hot)).rejects.toMatchObject({
          message: `Failed to start device "d1": Failed detecting source path "${device}" block device filesystem: Failed to run: blkid -s TYPE -o value ${device}: exit status 2`,
        });
      } finally {
        await kill('c1');
        shell('losetup', '-d', device);
      }
    });

    it('slows disks down, at the start and live', async () => {
      const share = `${lxc.fixture.root}/share`;
      mkdirSync(share);
      const disk = (limits: Record<string, string>) => [{ name: 'd1', config: { type: 'disk', source: share, path: '/mnt', ...limits } }];
      const { spec, pid } = await start('c1', {}, disk({ 'limits.read': '1MB' }));
      if (!existsSync('/sys/fs/cgroup/blkio')) return;
      const limit = (file: string) => readCgroup(pid, 'blkio', `blkio.throttle.${file}`).replace(/^\d+:\d+ /, '');
      expect(limit('read_bps_device')).toBe('1000000');
      const faster = lxc.fixture.spec('c1', {}, disk({ 'limits.max': '20iops' }));
      await lxc.fixture.host.instances.updateInstance(spec, faster);
      expect([limit('read_bps_device'), limit('read_iops_device'), limit('write_iops_device')]).toEqual(['', '20', '20']);
      await expect(lxc.fixture.host.instances.updateInstance(faster, lxc.fixture.spec('c1', {}, disk({ 'limits.max': 'much' })))).rejects.toMatchObject({ message: 'Failed to update device "d1": Invalid value: much' });
      await lxc.fixture.host.instances.updateInstance(faster, lxc.fixture.spec('c1', {}, disk({})));
      expect([limit('read_iops_device'), limit('write_iops_device')]).toEqual(['', '']);
    });

    it('changes nothing when a part of an update fails', async () => {
      const { spec, pid } = await start('c1', { 'limits.processes': '50' });
      const after = lxc.fixture.spec('c1', { 'limits.processes': '60' }, [{ name: 'd1', config: { type: 'disk', source: '/no/such', path: '/x' } }]);

      await expect(lxc.fixture.host.instances.updateInstance(spec, after)).rejects.toMatchObject({ message: expect.stringContaining('Missing source path "/no/such" for disk "d1"') });
      expect(readCgroup(pid, 'pids', 'pids.max')).toBe('50');
    });

    it('starts no container whose root file system is a link', async () => {
      const spec = await lxc.fixture.create('c1');
      const volume = lxc.fixture.state.volume('p', 'container', 'c1');
      rmSync(`${volume}/rootfs`, { recursive: true });
      symlinkSync('/', `${volume}/rootfs`);
      await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toThrow(`"${volume}/rootfs" is not a directory`);
    });

    it('does not follow a link inside the container to the host', async () => {
      await lxc.fixture.create('c1');
      const rootfs = `${lxc.fixture.state.volume('p', 'container', 'c1')}/rootfs`;
      const outside = `${lxc.fixture.root}/outside`;
      mkdirSync(outside);
      symlinkSync(outside, `${rootfs}/escape`);
      const before = lxc.fixture.spec('c1');
      await lxc.fixture.host.instances.startInstance(before);
      const share = `${lxc.fixture.root}/share`;
      mkdirSync(share);
      const after = lxc.fixture.spec('c1', {}, [{ name: 'd1', config: { type: 'disk', source: share, path: '/escape/x' } }]);
      await lxc.fixture.host.instances.updateInstance(before, after).catch(() => undefined);

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

      const up = lxc.fixture.spec('c1', { 'limits.memory': '200MB', 'limits.cpu.allowance': '20%', 'limits.cpu': '0-1' });
      await lxc.fixture.host.instances.updateInstance(spec, up);
      expect(readCgroup(pid, 'memory', 'memory.limit_in_bytes')).toBe('199999488');
      expect(readCgroup(pid, 'cpu', 'cpu.shares')).toBe('204');
      expect(readCgroup(pid, 'cpu', 'cpu.cfs_quota_us')).toBe('-1');
      expect(readCgroup(pid, 'pids', 'pids.max')).toBe('max');
      expect(readCgroup(pid, 'cpuset', 'cpuset.cpus')).toBe('0-1');

      await expect(lxc.fixture.host.instances.updateInstance(up, lxc.fixture.spec('c1', { 'limits.memory': '100kB' }))).rejects.toMatchObject({ kind: 'internal' });
      expect(readCgroup(pid, 'memory', 'memory.limit_in_bytes')).toBe('199999488');

      await lxc.fixture.host.instances.updateInstance(up, lxc.fixture.spec('c1', {}));
      expect(Number(readCgroup(pid, 'memory', 'memory.limit_in_bytes'))).toBeGreaterThan(2 ** 60);
    });
  });
});
