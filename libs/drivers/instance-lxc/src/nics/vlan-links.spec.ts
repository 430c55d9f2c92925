import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IpBatch, LinkDetails } from '#host';
import { VlanLinks, vlanLinkOf } from './vlan-links.js';

let devices: string;
let links: Map<string, string>;
let told: string[];
let vlans: VlanLinks;

/** Programs take their time. */
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** A host with `eth0`, as far as `ip` is asked. */
function host() {
  const apply = async (batch: IpBatch): Promise<void> => {
    await turn();
    for (const line of batch.text().trimEnd().split('\n')) {
      told.push(line);
      const [, name = '', alias = ''] = /^link set dev (\S+) alias (\S+)$/.exec(line) ?? [];
      if (name !== '') links.set(name, alias);
      links.delete(/^link delete dev (\S+)$/.exec(line)?.[1] ?? '');
    }
  };
  return {
    apply, applyAll: apply,
    addVlan: async ({ parent, id, gvrp }: { parent: string; id: string; gvrp: boolean }) => {
      await turn();
      if (id === '13') throw new Error('Failed to run: ip link add eth0.13 link eth0 type vlan id 13: exit status 2 (Error: Unknown device type.)');
      if (links.has(`${parent}.${id}`)) throw new Error('RTNETLINK answers: File exists');
      told.push(`vlan ${id} of ${parent}${gvrp ? ' gvrp' : ''}`);
      links.set(`${parent}.${id}`, '');
    },
    listLinks: () => [...links].map(([name, alias]) => ({ name, alias }) as LinkDetails),
  };
}

beforeEach(() => {
  devices = mkdtempSync(`${tmpdir()}/roost-vlans-`);
  links = new Map([['eth0', ''], ['eth0.7', '']]);
  told = [];
  vlans = new VlanLinks(host(), { devices, stateId: 'abc', sysctls: devices });
});
afterEach(() => rmSync(devices, { recursive: true, force: true }));

describe('vlanLinkOf', () => {
  it('is the parent where there is no VLAN, or it is not the host\'s business', () => {
    expect([vlanLinkOf('macvlan', 'eth0', { vlan: '5' }), vlanLinkOf('macvlan', 'eth0', {}), vlanLinkOf('sriov', 'eth0', { vlan: '5' }), vlanLinkOf('bridged', 'br0', { vlan: '5' }), vlanLinkOf('routed', '', { vlan: '5' })])
      .toEqual(['eth0.5', 'eth0', 'eth0', 'br0', '']);
  });
});

describe('VlanLinks', () => {
  it('makes a link once and removes it with the last that uses it', async () => {
    expect(await vlans.ensure('c1', 'eth0', 'macvlan', 'eth0', { vlan: '5', gvrp: 'true' })).toEqual({ link: 'eth0.5', ours: true });
    expect(await vlans.ensure('c2', 'eth-1', 'routed', 'eth0', { vlan: '5' })).toEqual({ link: 'eth0.5', ours: true });
    await vlans.release('c1');
    expect(told).toEqual(['vlan 5 of eth0 gvrp', 'link set dev eth0.5 alias roost:abc:nic-vlan', 'link set dev eth0.5 up']);

    await vlans.release('c2', 'eth-1');
    await vlans.release('c2');
    expect(told.at(-1)).toBe('link delete dev eth0.5');
    expect([...links.keys()]).toEqual(['eth0', 'eth0.7']);
  });

  it('makes one link for two that ask at once, and takes none away that another has just asked for', async () => {
    expect(await Promise.all(['c1', 'c2'].map((name) => vlans.ensure(name, 'eth0', 'macvlan', 'eth0', { vlan: '5' })))).toEqual([{ link: 'eth0.5', ours: true }, { link: 'eth0.5', ours: true }]);
    await vlans.release('c2');
    await Promise.all([vlans.release('c1'), vlans.ensure('c3', 'eth0', 'macvlan', 'eth0', { vlan: '5' })]);

    expect(links.get('eth0.5')).toBe('roost:abc:nic-vlan');
  });

  it('leaves links of others alone, and does nothing without a VLAN', async () => {
    expect(await vlans.ensure('c1', 'a', 'physical', 'eth0', { vlan: '7' })).toEqual({ link: 'eth0.7', ours: false });
    expect(await vlans.ensure('c1', 'b', 'physical', 'eth0', {})).toEqual({ link: 'eth0', ours: false });
    await vlans.release('c1');

    expect(told).toEqual([]);
  });

  it('says what a kernel without VLANs says, and keeps nothing', async () => {
    await expect(vlans.ensure('c1', 'eth0', 'macvlan', 'eth0', { vlan: '13' })).rejects.toThrow(
      'Failed to create VLAN interface "eth0.13" on "eth0": Failed to run: ip link add eth0.13 link eth0 type vlan id 13: exit status 2 (Error: Unknown device type.)');
    expect(readdirSync(`${devices}/c1`)).toEqual([]);
  });
});
