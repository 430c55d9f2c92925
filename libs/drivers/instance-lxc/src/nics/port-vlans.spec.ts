import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyPortVlans, checkFiltering, portVlansOf } from './port-vlans.js';

let sysfs: string;
beforeEach(() => {
  sysfs = mkdtempSync(`${tmpdir()}/roost-port-vlans-`);
  for (const [bridge, filtering] of [['br0', '1'], ['br1', '0']] as const) {
    mkdirSync(`${sysfs}/class/net/${bridge}/bridge`, { recursive: true });
    writeFileSync(`${sysfs}/class/net/${bridge}/bridge/vlan_filtering`, `${filtering}\n`);
    writeFileSync(`${sysfs}/class/net/${bridge}/bridge/default_pvid`, '1\n');
  }
});
afterEach(() => rmSync(sysfs, { recursive: true, force: true }));

describe('port VLANs', () => {
  it('need a bridge that tells VLANs apart', () => {
    checkFiltering('br0', sysfs);
    expect(() => checkFiltering('br1', sysfs)).toThrow('VLAN filtering is not enabled in parent bridge "br1"');
    expect(() => checkFiltering('br2', sysfs)).toThrow('Failed getting bridge VLAN status for "br2": open /sys/class/net/br2/bridge/vlan_filtering: no such file or directory');
  });

  it.each([
    [{ vlan: '5' }, ['vlan delete dev veth1 vid 1 master', 'vlan add dev veth1 vid 5 pvid untagged master']],
    [{ vlan: '1', 'vlan.tagged': '6, 8-9' }, ['vlan add dev veth1 vid 6 master', 'vlan add dev veth1 vid 8-9 master']],
    [{ vlan: 'none' }, ['vlan delete dev veth1 vid 1 master']],
    [{ 'vlan.tagged': '6' }, ['vlan add dev veth1 vid 6 master']],
  ])('of %j', async (config, lines) => {
    const told: string[] = [];
    await applyPortVlans({ changePortVlans: (batch) => { told.push(...batch); return Promise.resolve(); } }, 'veth1', 'br0', portVlansOf(config)!, sysfs);

    expect(told).toEqual(lines);
  });

  it('are nothing without a word about them', () => {
    expect(portVlansOf({ vlan: '', 'vlan.tagged': '' })).toBeNull();
  });
});
