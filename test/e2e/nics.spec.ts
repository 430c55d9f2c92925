import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unmet } from '../support/needs.js';
import { LxcContainers } from '../support/lxc-containers.js';
import { shell, until, whyNoContainers } from '../support/lxc-fixture.js';

describe.skipIf(unmet('network interfaces of containers', whyNoContainers()))('network interfaces of containers', () => {
  const lxc = new LxcContainers();
  const tag = Math.random().toString(36).slice(2, 8);
  /** A cable between two links of the host: one side is a parent, the other the world. */
  const [parent, world] = [`rn${tag}a`, `rn${tag}b`];
  beforeEach(() => {
    shell('ip', 'link', 'add', parent, 'type', 'veth', 'peer', 'name', world);
    for (const link of [parent, world]) shell('ip', 'link', 'set', link, 'up');
  });
  afterEach(() => { shell('ip', 'link', 'del', world); });
  const nic = (name: string, config: Record<string, string>) => ({ name, config: { type: 'nic', ...config } });
  const inside = async (...words: string[]) => (await lxc.fixture.run('c1', ['/bin/busybox', 'ip', ...words])).stdout;
  const routes = () => shell('ip', 'route');
  const change = async (before: ReturnType<typeof lxc.fixture.spec>, devices: Parameters<typeof lxc.fixture.spec>[2]) => {
    const after = lxc.fixture.spec('c1', before.config, devices);
    return { after, ...(await lxc.fixture.host.instances.updateInstance(before, after)) };
  };
  const macOf = (link: string) => readFileSync(`/sys/class/net/${link}/address`, 'latin1').trim();

  it('makes a macvlan at the start and while it runs', async () => {
    const { spec, volatile } = await lxc.start('c1', {}, [nic('lan', { nictype: 'macvlan', parent, hwaddr: '00:16:3e:00:00:01' })]);
    expect(volatile).toMatchObject({ 'volatile.lan.last_state.created': 'false', 'volatile.lan.name': 'eth0' });
    expect(await inside('link', 'show', 'eth0')).toContain('00:16:3e:00:00:01');

    const more = await change(spec, [...spec.devices.slice(1), nic('hot', { nictype: 'macvlan', parent, hwaddr: '00:16:3e:00:00:02', name: 'web0', mtu: '1400' })]);
    expect(await inside('link', 'show', 'web0')).toMatch(/mtu 1400[^]*00:16:3e:00:00:02/);
    await change(more.after, spec.devices.slice(1));
    expect(await inside('link', 'show', 'web0')).toBe('');
    expect(await inside('link', 'show', 'eth0')).toContain('00:16:3e:00:00:01');
  });

  it('lends a link of the host, and has it back as it was', async () => {
    const before = macOf(parent);
    const { spec, volatile } = await lxc.start('c1', {}, [nic('lan', { nictype: 'physical', parent, hwaddr: '00:16:3e:00:00:03', mtu: '1400' })]);
    expect(volatile).toMatchObject({ 'volatile.lan.host_name': parent, 'volatile.lan.last_state.hwaddr': before, 'volatile.lan.last_state.mtu': '1500' });
    expect(await inside('link', 'show', 'eth0')).toMatch(/mtu 1400[^]*00:16:3e:00:00:03/);
    expect(existsSync(`/sys/class/net/${parent}`)).toBe(false);
    await expect(change(spec, [...spec.devices.slice(1), nic('two', { nictype: 'physical', parent })])).rejects.toMatchObject({ message: `Failed to start device "two": Parent device '${parent}' doesn't exist` });
    await lxc.kill('c1');
    await until(() => existsSync(`/sys/class/net/${parent}`));
    expect([macOf(parent), readFileSync(`/sys/class/net/${parent}/mtu`, 'latin1').trim()]).toEqual([before, '1500']);

    const again = await lxc.fixture.host.instances.startInstance(lxc.fixture.spec('c1'));
    expect(again.pid).toBeGreaterThan(0);
    const hot = await change(lxc.fixture.spec('c1'), [nic('lan', { nictype: 'physical', parent, hwaddr: '00:16:3e:00:00:04', name: 'real0' })]);
    expect(hot.volatile).toMatchObject({ 'volatile.lan.host_name': parent });
    expect(await inside('link', 'show', 'real0')).toMatch(/UP[^]*00:16:3e:00:00:04/);
    await change(hot.after, []);
    expect([macOf(parent), readdirSync(`${lxc.fixture.state.devices}/c1`)]).toEqual([before, []]);
  });

  it('routes to a container without a bridge, and answers for it', async () => {
    shell('ip', 'address', 'add', '10.214.9.1/24', 'dev', parent);
    writeFileSync(`/proc/sys/net/ipv4/conf/${parent}/forwarding`, '1');
    const { spec } = await lxc.start('c1', {}, [nic('lan', { nictype: 'routed', parent, 'ipv4.address': '10.214.9.9', host_name: `rn${tag}h` })]);
    expect(await inside('-o', 'address', 'show', 'eth0')).toContain('10.214.9.9/32');
    expect(await inside('route')).toMatch(/default via 169\.254\.0\.1 dev eth0/);
    expect(routes()).toContain(`10.214.9.9 dev rn${tag}h scope link`);
    expect(shell('ip', 'neigh', 'show', 'proxy')).toContain(`10.214.9.9 dev ${parent}`);
    expect(shell('busybox', 'ping', '-c', '1', '-W', '3', '10.214.9.9')).toContain('1 packets received');

    const { after } = await change(spec, [nic('lan', { ...spec.devices[1]!.config, 'ipv4.routes': '10.215.0.0/24' })]);
    expect(routes()).toContain(`10.215.0.0/24 via 10.214.9.9 dev rn${tag}h`);
    await change(after, []);
    expect([routes().includes('10.214.9.9'), shell('ip', 'neigh', 'show', 'proxy').includes('10.214.9.9')]).toEqual([false, false]);

    writeFileSync(`/proc/sys/net/ipv4/conf/${parent}/forwarding`, '0');
    await expect(change(lxc.fixture.spec('c1'), [nic('lan', { nictype: 'routed', parent, 'ipv4.address': '10.214.9.9' })])).rejects.toMatchObject({
      message: `Failed to start device "lan": Routed mode requires sysctl net.ipv4.conf.${parent}.forwarding=1`,
    });
  });

  it('routes by bridges and links for as long as it runs', async () => {
    const bridge = `rn${tag}r`;
    shell('ip', 'link', 'add', bridge, 'type', 'bridge');
    shell('ip', 'link', 'set', bridge, 'up');
    try {
      const { spec } = await lxc.start('c1', {}, [nic('lan', { nictype: 'bridged', parent: bridge, 'ipv4.routes': '10.216.0.0/24,10.216.1.0/24' }), nic('p', { nictype: 'p2p', 'ipv4.routes': '10.217.0.0/24' })]);
      expect(routes()).toMatch(new RegExp(`10.216.0.0/24 dev ${bridge}[^]*10.216.1.0/24 dev ${bridge}[^]*10.217.0.0/24 dev veth`));
      await change(spec, [nic('lan', { nictype: 'bridged', parent: bridge, 'ipv4.routes': '10.216.1.0/24' }), spec.devices[2]!]);
      expect([routes().includes('10.216.0.0'), routes().includes('10.216.1.0')]).toEqual([false, true]);
      await lxc.kill('c1');
      expect(routes()).not.toMatch(/10\.21[67]\./);
    } finally {
      shell('ip', 'link', 'del', bridge);
    }
  });
});
