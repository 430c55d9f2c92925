import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandRunner, type CommandResult, type RunOptions } from '#host';
import { unmet } from '../support/needs.js';
import { LxcContainers } from '../support/lxc-containers.js';
import { shell, until, whyNoContainers } from '../support/lxc-fixture.js';

/** `ip` of a host with a card that has functions: what it is told of them is kept, what it says of them was recorded. */
class CardCommands extends CommandRunner {
  readonly told: string[] = [];

  override async run(options: RunOptions): Promise<CommandResult> {
    if (options.argv[0] === 'ip' && options.argv[1] === '-j') {
      const functions = [0, 1].map((vf) => ({ vf, link_type: 'ether', address: `3e:f1:00:00:00:0${vf}`, vlan_list: vf === 0 ? [{ vlan: 12 }] : [], spoofchk: vf === 0 }));
      return { exitCode: 0, stdout: JSON.stringify([{ ifname: 'pf', vfinfo_list: functions }]), stderr: '' };
    }
    const lines = typeof options.stdin === 'string' ? options.stdin.split('\n') : [];
    this.told.push(...lines.filter((line) => line.includes(' vf ')));
    return super.run(lines.some((line) => line.includes(' vf ')) ? { ...options, stdin: lines.filter((line) => !line.includes(' vf ')).join('\n') } : options);
  }
}

/** Hardware this host lacks: its files in /sys were recorded, its links are real ones of another kind, its nodes are some everybody has. */
describe.skipIf(unmet('hardware devices of containers', whyNoContainers()))('hardware devices of containers', () => {
  const lxc = new LxcContainers();
  const tag = Math.random().toString(36).slice(2, 7);
  const [card, first, second] = [`rh${tag}p`, `rh${tag}0`, `rh${tag}1`];
  const links = [card, first, second];
  let commands: CardCommands;
  const hardware = (path: string, text = ''): void => {
    mkdirSync(dirname(`${lxc.fixture.root}/hardware/${path}`), { recursive: true });
    writeFileSync(`${lxc.fixture.root}/hardware/${path}`, `${text}\n`);
  };
  const inside = async (...words: string[]) => (await lxc.fixture.run('c1', words)).stdout.trim();
  const stat = (path: string) => inside('stat', '-c', '%F %t,%T %u:%g %a', path);
  const change = async (before: ReturnType<typeof lxc.fixture.spec>, devices: Parameters<typeof lxc.fixture.spec>[2]) => {
    const after = lxc.fixture.spec('c1', before.config, devices);
    return { after, ...(await lxc.fixture.host.instances.updateInstance(before, after)) };
  };
  const held = () => readdirSync(`${lxc.fixture.state.devices}/c1`);
  const macOf = (link: string) => readFileSync(`/sys/class/net/${link}/address`, 'latin1').trim();
  const slotOf = (link: string) => `0000:05:${links.indexOf(link).toString().padStart(2, '0')}.0`;

  /** Two functions of one card. */
  const makeCard = (type: string): void => {
    for (const link of links) {
      shell('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}x`);
      for (const [file, text] of Object.entries({ type, dev_id: '0x0', dev_port: '0' })) hardware(`sys/class/net/${link}/${file}`, text);
      hardware(`sys/bus/pci/devices/${slotOf(link)}/net/${link}/type`, type);
      symlinkSync(`${lxc.fixture.root}/hardware/sys/bus/pci/devices/${slotOf(link)}`, `${lxc.fixture.root}/hardware/sys/class/net/${link}/device`);
    }
    for (const file of ['sriov_numvfs', 'sriov_totalvfs']) hardware(`sys/bus/pci/devices/${slotOf(card)}/${file}`, '2');
    for (const [id, link] of [first, second].entries()) symlinkSync(`../${slotOf(link)}`, `${lxc.fixture.root}/hardware/sys/bus/pci/devices/${slotOf(card)}/virtfn${id}`);
  };
  beforeEach(async () => {
    const root = `${lxc.fixture.root}/hardware`;
    commands = new CardCommands();
    Object.assign(lxc.fixture, { deviceRoots: { sysfs: `${root}/sys`, dev: `${root}/dev`, proc: '/proc' }, commands, swtpm: `${root}/swtpm` });
    mkdirSync(root);
    await lxc.fixture.restartAgent();
  });
  afterEach(() => { for (const link of links) if (existsSync(`/sys/class/net/${link}x`)) shell('ip', 'link', 'del', `${link}x`); });

  it('lends functions of a card, which treats them as asked, and has them back', async () => {
    makeCard('1');
    const nic = (name: string, config: Record<string, string>) => ({ name, config: { type: 'nic', nictype: 'sriov', parent: card, ...config } });
    const before = macOf(first);
    const { spec, volatile } = await lxc.start('c1', {}, [nic('lan', { vlan: '7', 'security.mac_filtering': 'true' })]);
    expect(volatile).toMatchObject({
      'volatile.lan.host_name': first, 'volatile.lan.last_state.created': 'false', 'volatile.lan.last_state.hwaddr': before, 'volatile.lan.last_state.vf.parent': card,
      'volatile.lan.last_state.vf.id': '0', 'volatile.lan.last_state.vf.vlan': '12', 'volatile.lan.last_state.vf.spoofcheck': 'true', 'volatile.lan.last_state.vf.hwaddr': '3e:f1:00:00:00:00',
    });
    expect(commands.told.splice(0)).toEqual([`link set dev ${card} vf 0 vlan 7`, `link set dev ${card} vf 0 mac ${before}`, `link set dev ${card} vf 0 spoofchk on`]);
    expect(await inside('ip', 'link', 'show', 'eth0')).toContain(before);

    const more = await change(spec, [spec.devices[1]!, nic('hot', { hwaddr: '00:16:3e:00:00:05', mtu: '1400', name: 'fast0' })]);
    expect(await inside('ip', 'link', 'show', 'fast0')).toMatch(/mtu 1400[^]*00:16:3e:00:00:05/);
    expect(commands.told.splice(0)).toEqual([`link set dev ${card} vf 1 mac 00:00:00:00:00:00`, `link set dev ${card} vf 1 spoofchk off`]);
    await expect(change(more.after, [...more.after.devices.slice(1), nic('third', {})])).rejects.toMatchObject({
      message: `Failed to start device "third": All virtual functions on parent device "${card}" are already in use`,
    });
    lxc.fixture.spec('c1', {}, more.after.devices.slice(1));
    await change(more.after, [spec.devices[1]!]);
    expect(commands.told.splice(0)).toEqual([`link set dev ${card} vf 1 vlan 0`, `link set dev ${card} vf 1 spoofchk off`, `link set dev ${card} vf 1 mac 3e:f1:00:00:00:01`]);

    // Whoever finds it dead brings it back.
    const { pid } = await lxc.status('c1');
    lxc.fixture.host.close();
    process.kill(pid, 'SIGKILL');
    lxc.fixture.host = lxc.fixture.newHost();
    await lxc.fixture.open();
    await until(() => existsSync(`/sys/class/net/${first}`) && held().length === 0);
    expect(commands.told).toEqual([`link set dev ${card} vf 0 vlan 12`, `link set dev ${card} vf 0 spoofchk on`, `link set dev ${card} vf 0 mac 3e:f1:00:00:00:00`]);
  });

  it('gives links of InfiniBand with their nodes', async () => {
    makeCard('32');
    for (const [index, link] of [first, second].entries()) {
      for (const [node, kind, minor] of [['issm', 'infiniband_mad', 5], ['umad', 'infiniband_mad', 7], ['uverbs', 'infiniband_verbs', 9]] as const) {
        hardware(`sys/bus/pci/devices/${slotOf(link)}/${kind}/${node}${index}/dev`, `1:${minor}`);
        hardware(`dev/infiniband/${node}${index}`);
      }
    }
    const device = (name: string, config: Record<string, string>) => ({ name, config: { type: 'infiniband', ...config } });
    const { spec, volatile } = await lxc.start('c1', {}, [device('fabric', { nictype: 'sriov', parent: card })]);
    expect(volatile).toEqual(expect.objectContaining({ 'volatile.fabric.host_name': first, 'volatile.fabric.last_state.mtu': '1500', 'volatile.fabric.name': 'ib0' }));
    expect(await inside('ip', 'link', 'show', 'ib0')).toContain('mtu 1500');
    expect([await stat('/dev/infiniband/issm0'), await stat('/dev/infiniband/uverbs0')]).toEqual(['character special file 1,5 0:0 644', 'character special file 1,9 0:0 644']);

    const { after } = await change(spec, [spec.devices[1]!, device('more', { nictype: 'physical', parent: second, mtu: '1400', name: 'fast1' })]);
    expect(await inside('ip', 'link', 'show', 'fast1')).toContain('mtu 1400');
    expect(await stat('/dev/infiniband/umad1')).toBe('character special file 1,7 0:0 644');
    await expect(change(after, [...after.devices.slice(1), device('third', { nictype: 'sriov', parent: card })])).rejects.toMatchObject({
      message: 'Failed to start device "third": All virtual functions on parent device are already in use',
    });
    await change(after, [spec.devices[1]!]);
    expect([await stat('/dev/infiniband/umad1'), readFileSync(`/sys/class/net/${second}/mtu`, 'latin1').trim()]).toEqual(['', '1500']);
    await lxc.kill('c1');
    await until(() => existsSync(`/sys/class/net/${first}`));
    expect(held()).toEqual([]);
  });

  it('emulates TPMs, which keep their state and end with the container', async () => {
    const { root } = lxc.fixture;
    const tpm = (name: string, number: string) => ({ name, config: { type: 'tpm', path: `/dev/tpm${number}`, pathrm: `/dev/tpmrm${number}` } });
    await expect(lxc.start('c1', {}, [tpm('t0', '0')])).rejects.toMatchObject({ message: `Failed to start device "t0": Failed to validate environment: Required tool 'swtpm' is missing` });
    // What swtpm 0.7 prints, where the kernel has a vtpm proxy.
    const script = `[ "$1" = --help ] && exit 0\n[ -d "\${4#dir=}" ] || exit 1\nprintf 'New TPM device: /dev/tpm3 (major/minor = 1/5)\\n'\nwhile :; do sleep 1; done`;
    writeFileSync(`${root}/hardware/swtpm`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    hardware('sys/module/tpm_vtpm_proxy/refcnt', '0');
    hardware('sys/class/tpmrm/tpmrm3/dev', '1:7');

    const spec = lxc.fixture.spec('c1', {}, [tpm('t0', '0')]);
    const { pid } = await lxc.fixture.host.instances.startInstance(spec);
    expect([await stat('/dev/tpm0'), await stat('/dev/tpmrm0')]).toEqual(['character special file 1,5 0:0 660', 'character special file 1,7 0:0 660']);
    const emulator = (device: string) => (JSON.parse(readFileSync(`${lxc.fixture.state.devices}/c1/tpm.${device}.json`, 'utf8')) as { process: { pid: number } }).process.pid;
    const gone = (process: number) => !existsSync(`/proc/${process}`) || readFileSync(`/proc/${process}/stat`, 'utf8').includes(') Z ');
    const { after } = await change(spec, [tpm('t0', '0'), tpm('hot', '1')]);
    const [t0, hot] = [emulator('t0'), emulator('hot')];
    expect(await stat('/dev/tpm1')).toBe('character special file 1,5 0:0 660');
    await change(after, [tpm('t0', '0')]);
    await until(() => gone(hot));
    expect(await stat('/dev/tpm1')).toBe('');

    // An emulator that dies is replaced by whoever comes next; the container's end is its end.
    await lxc.fixture.restartAgent();
    expect(emulator('t0')).toBe(t0);
    process.kill(t0, 'SIGKILL');
    await until(() => gone(t0));
    await lxc.fixture.restartAgent();
    const next = emulator('t0');
    expect(await stat('/dev/tpm0')).toBe('character special file 1,5 0:0 660');
    lxc.fixture.host.close();
    process.kill(pid, 'SIGKILL');
    lxc.fixture.host = lxc.fixture.newHost();
    await lxc.fixture.open();
    await until(() => gone(next));
    expect([held(), readdirSync(lxc.fixture.state.volume('p', 'container', 'c1')).sort()]).toEqual([[], ['rootfs', 'tpm.hot', 'tpm.t0']]);
  });
});
