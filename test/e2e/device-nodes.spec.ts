import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unmet } from '../support/needs.js';
import { LxcContainers, readCgroup } from '../support/lxc-containers.js';
import { shell, until, whyNoContainers } from '../support/lxc-fixture.js';

describe.skipIf(unmet('device nodes of containers', whyNoContainers()))('device nodes of containers', () => {
  const lxc = new LxcContainers();
  const node = (name: string, config: Record<string, string>) => ({ name, config: { type: 'unix-char', ...config } });
  const inside = async (path: string) => (await lxc.fixture.run('c1', ['stat', '-c', '%F %t,%T %u:%g %a', path])).stdout.trim();
  const change = (before: ReturnType<typeof lxc.fixture.spec>, devices: ReturnType<typeof node>[]) => {
    const after = lxc.fixture.spec('c1', before.config, devices);
    return lxc.fixture.host.instances.updateInstance(before, after).then(() => after);
  };
  const held = () => readdirSync(`${lxc.fixture.state.devices}/c1`);
  // A path of the host's /dev that is ours alone.
  let own: string;
  beforeEach(() => { own = mkdtempSync('/dev/roost-test-'); });
  afterEach(() => { rmSync(own, { recursive: true, force: true }); });

  it('gives nodes to an unprivileged container, owned by whom it knows', async () => {
    const { spec } = await lxc.start('c1', {}, [
      node('n1', { source: '/dev/zero', path: '/dev/a/my-zero', mode: '0640', uid: '1', gid: '2' }), node('n2', { type: 'unix-block', path: '/dev/loop0' }),
      node('n3', { path: '/dev/absent', required: 'false' }),
    ]);
    expect(await inside('/dev/a/my-zero')).toBe('character special file 1,5 1:2 640');
    expect(await inside('/dev/loop0')).toBe('block special file 7,0 0:0 660');
    expect((await lxc.fixture.run('c1', ['head', '-c', '3', '/dev/a/my-zero'])).stdout).toBe('\0\0\0');
    expect(await inside('/dev/absent')).toBe('');

    const after = await change(spec, [node('n4', { path: '/opt/full', major: '1', minor: '7' }), node('n5', { path: '/dev/null' })]);
    expect([await inside('/opt/full'), await inside('/dev/a/my-zero'), await inside('/dev/null')]).toEqual(['character special file 1,7 0:0 660', '', 'character special file 1,3 0:0 660']);
    // As an operation does that was cut off and begins again.
    await change(spec, after.devices.slice(1) as ReturnType<typeof node>[]);
    await change(after, []);
    expect([await inside('/opt/full'), (await lxc.fixture.run('c1', ['ls', '/opt'])).stdout, await inside('/dev/null'), held()]).toEqual(['', '', 'character special file 1,3 65534:65534 666', []]);
    await expect(change(spec, [node('bad', { path: '/dev/absent' })])).rejects.toMatchObject({
      message: `Failed to start device "bad": The required device path doesn't exist and the major and minor settings are not specified`,
    });
  });

  it('lets a privileged container use exactly the nodes it was given', async () => {
    const { spec, pid } = await lxc.start('c1', { 'security.privileged': 'true' }, [node('n1', { path: '/dev/ttyS7', major: '4', minor: '71' })]);
    if (!existsSync('/sys/fs/cgroup/devices')) return;
    const allowed = () => readCgroup(pid, 'devices', 'devices.list').split('\n');
    expect(allowed()).toContain('c 4:71 rwm');
    const after = await change(spec, [node('n2', { path: '/dev/ttyS6', major: '4', minor: '70' }), node('n3', { path: '/dev/null' })]);
    expect([allowed().includes('c 4:71 rwm'), allowed().includes('c 4:70 rwm')]).toEqual([false, true]);
    await change(after, []);
    expect([allowed().includes('c 4:70 rwm'), allowed().includes('c 1:3 rwm')]).toEqual([false, true]);
  });

  it('follows a node of the host that comes and goes, also past a new agent', async () => {
    const path = `${own}/deep/node`;
    await lxc.start('c1', {}, [node('n1', { source: path, path: '/dev/followed', required: 'false' })]);
    expect(await inside('/dev/followed')).toBe('');
    mkdirSync(`${own}/deep`);
    shell('mknod', path, 'c', '1', '5');
    await until(async () => (await inside('/dev/followed')) !== '');
    rmSync(path);
    await until(async () => (await inside('/dev/followed')) === '');

    lxc.fixture.host.close();
    shell('mknod', path, 'c', '1', '7');
    lxc.fixture.host = lxc.fixture.newHost();
    await lxc.fixture.open();
    await until(async () => (await inside('/dev/followed')).includes('1,7'));
    await lxc.kill('c1');
    expect(held()).toEqual([]);
  });

  it('plugs a USB device that the kernel tells of', async () => {
    const sysfs = `${lxc.fixture.root}/hardware`;
    const usb = `${sysfs}/bus/usb/devices/1-2`;
    lxc.fixture.deviceRoots = { ...lxc.fixture.deviceRoots, sysfs };
    await lxc.fixture.restartAgent();
    const { spec } = await lxc.start('c1', {}, [node('u1', { type: 'usb', vendorid: '0403', mode: '0666' })]);

    mkdirSync(usb, { recursive: true });
    for (const [file, text] of Object.entries({ idVendor: '0403', idProduct: '6001', busnum: '1', devnum: '5', dev: '1:5' })) writeFileSync(`${usb}/${file}`, `${text}\n`);
    await until(async () => {
      // What the kernel says of a real one, of a device that is always there.
      writeFileSync('/sys/class/mem/zero/uevent', 'change');
      return (await inside('/dev/bus/usb/001/005')) !== '';
    });
    expect(await inside('/dev/bus/usb/001/005')).toBe('character special file 1,5 0:0 666');

    rmSync(usb, { recursive: true });
    writeFileSync('/sys/class/mem/zero/uevent', 'change');
    await until(async () => (await inside('/dev/bus/usb/001/005')) === '');
    await expect(change(spec, [node('u1', { type: 'usb', vendorid: '0403', required: 'true' })])).rejects.toMatchObject({ message: 'Failed to start device "u1": Required USB device not found' });
  });

  it('leaves nothing of a container that was killed, agent and all', async () => {
    const { pid } = await lxc.start('c1', {}, [
      node('n1', { path: '/dev/zero' }), { name: 'p1', config: { type: 'proxy', listen: `unix:${lxc.fixture.root}/p.sock`, connect: 'tcp:127.0.0.1:80' } },
      { name: 'eth0', config: { type: 'nic', nictype: 'p2p', host_name: 'roost-left' } },
    ]);
    const proxy = Number(readFileSync(`${lxc.fixture.state.devices}/c1/proxy.p1`, 'utf8').split(' ')[0]);
    lxc.fixture.host.close();
    process.kill(pid, 'SIGKILL');
    lxc.fixture.host = lxc.fixture.newHost();
    await lxc.fixture.open();

    expect(held()).toEqual([]);
    expect([existsSync(`${lxc.fixture.root}/p.sock`), existsSync('/sys/class/net/roost-left')]).toEqual([false, false]);
    await until(() => !existsSync(`/proc/${proxy}`) || readFileSync(`/proc/${proxy}/stat`, 'utf8').includes(') Z '));
  });
});
