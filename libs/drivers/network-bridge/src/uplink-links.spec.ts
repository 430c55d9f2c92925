import { beforeEach, describe, expect, it } from 'vitest';
import { CommandFailedError, Ip, type CommandRunner, type LinkDetails } from '#host';
import { UplinkLinks } from './uplink-links.js';

/** What `ip` is told; links are as the test says. */
class RecordedIp extends Ip {
  readonly told: string[] = [];
  links: Partial<LinkDetails>[] = [{ name: 'eth0', alias: '', mtu: 1500 }];
  vlanError: Error | null = null;

  constructor() {
    super({
      run: ({ argv, stdin }: { argv: string[]; stdin?: string }) => {
        if (argv.includes('vlan') && this.vlanError !== null) return Promise.reject(this.vlanError);
        this.told.push(...(stdin === undefined ? [argv.slice(1).join(' ')] : stdin.trimEnd().split('\n')));
        const made = argv.includes('vlan') ? argv[3] : undefined;
        if (made !== undefined) this.links.push({ name: made, alias: '', mtu: 1500 });
        return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
      },
    } as unknown as CommandRunner);
  }

  override listLinks(): LinkDetails[] { return this.links as LinkDetails[]; }
}

let ip: RecordedIp;
let uplinks: UplinkLinks;
beforeEach(() => {
  ip = new RecordedIp();
  uplinks = new UplinkLinks(ip, 'roost:abc');
});

const network = (type: string, config: Record<string, string>) => ({ name: 'up', type, config: { parent: 'eth0', ...config } });
const marked = (name: string) => expect.stringMatching(new RegExp(`^link set dev ${name} alias roost:abc:uplink:[0-9a-f]{16}$`)) as string;

describe('UplinkLinks', () => {
  it.each(['macvlan', 'sriov', 'physical'])('asks for the parent of a %s network and changes nothing on it', async (type) => {
    await uplinks.ensure(network(type, {}));
    await expect(uplinks.ensure(network(type, { parent: 'eth9' }))).rejects.toThrow('Parent interface "eth9" not found');

    expect(ip.told).toEqual([]);
  });

  it('makes a VLAN once, marks it as the network\'s and sets the MTU', async () => {
    await uplinks.ensure(network('physical', { vlan: '5', mtu: '1400', gvrp: 'on' }));
    await uplinks.ensure(network('macvlan', { vlan: '5' }));

    expect(ip.told).toEqual(['link add eth0.5 link eth0 type vlan id 5 gvrp on', marked('eth0.5'), 'link set dev eth0.5 up', 'link set dev eth0.5 mtu 1400']);
  });

  it('removes its own VLAN when the network goes or has another, and no other link', async () => {
    await uplinks.ensure(network('physical', { vlan: '5' }));
    const alias = ip.told.find((line) => line.includes('alias'))!.split(' ').at(-1)!;
    ip.links = [{ name: 'eth0', alias: '', mtu: 1500 }, { name: 'eth0.5', alias, mtu: 1500 }, { name: 'eth0.6', alias: '', mtu: 1500 }];
    ip.told.length = 0;

    await uplinks.ensure(network('physical', { vlan: '6' }));
    await uplinks.remove('up');
    await uplinks.remove('another');

    expect(ip.told).toEqual(['link delete dev eth0.5', 'link delete dev eth0.5']);
  });

  it('misses a VLAN that somebody took, but not with its parent', () => {
    const vlan = network('physical', { vlan: '5' });
    expect([uplinks.firstFault(vlan, ip.listLinks()), uplinks.firstFault(vlan, []), uplinks.firstFault(network('macvlan', {}), [])]).toEqual(['link', null, null]);
  });

  it('says in LXD\'s words what a kernel without VLANs says', async () => {
    ip.vlanError = new CommandFailedError(['ip', 'link', 'add', 'eth0.5', 'link', 'eth0', 'type', 'vlan', 'id', '5'], 2, null, 'Error: Unknown device type.');

    await expect(uplinks.ensure(network('physical', { vlan: '5' }))).rejects.toThrow(
      'Failed to create VLAN interface "eth0.5" on "eth0": Failed to run: ip link add eth0.5 link eth0 type vlan id 5: exit status 2 (Error: Unknown device type.)');
  });
});
