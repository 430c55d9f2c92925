import { describe, expect, it } from 'vitest';
import { CommandRunner, Tc } from '#host';
import type { InstanceSpec, NicFilter } from '#ports';
import { nicFilter, nicRates, NicRules } from './nic-rules.js';

function spec(config: Record<string, string>): InstanceSpec {
  return {
    id: 1, project: 'default', name: 'c1', projectName: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false,
    config: { 'volatile.eth0.hwaddr': '00:16:3e:00:00:01' }, devices: [{ name: 'eth0', config: { type: 'nic', ...config } }], nics: [],
    rootVolume: { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: 'c1' }, volumes: [], idmap: [], placementEpoch: 1,
  };
}

class RecordingTc extends Tc {
  readonly set: string[] = [];
  constructor() { super(new CommandRunner()); }
  override async setLimits(device: string, { ingressBits, egressBits }: { ingressBits: number; egressBits: number }): Promise<void> {
    this.set.push(`${device} ${ingressBits} ${egressBits}`);
  }
}

class RecordingFirewall {
  readonly filters = new Map<string, NicFilter>();
  async ensureNicFilter(filter: NicFilter): Promise<void> { this.filters.set(filter.device, filter); }
  async removeNicFilter(_instance: string, device: string): Promise<void> { this.filters.delete(device); }
}

const first = (config: Record<string, string>) => spec(config).devices[0]!;

describe('nicRates', () => {
  it('reads both directions, and limits.max for both', () => {
    expect(nicRates(first({ 'limits.ingress': '10Mbit', 'limits.egress': '1kbit' }))).toEqual({ ingressBits: 10_000_000, egressBits: 1000 });
    expect(nicRates(first({ 'limits.max': '2Mibit' }))).toEqual({ ingressBits: 2_097_152, egressBits: 2_097_152 });
    expect(nicRates(first({}))).toEqual({ ingressBits: 0, egressBits: 0 });
  });
});

describe('nicFilter', () => {
  it('lets the NIC use its own MAC address and reserved addresses only', () => {
    const filtered = spec({ 'security.ipv4_filtering': 'true', 'ipv4.address': '10.0.0.9' });
    expect(nicFilter(filtered, filtered.devices[0]!, 'veth1')).toEqual({
      instance: 'c1', device: 'eth0', hostName: 'veth1', hwaddr: '00:16:3e:00:00:01', ipv4Addresses: ['10.0.0.9'], ipv6Addresses: null,
    });
  });

  it('refuses to filter addresses that are not reserved', () => {
    const filtered = spec({ 'security.ipv6_filtering': 'true' });
    expect(() => nicFilter(filtered, filtered.devices[0]!, 'veth1')).toThrow('needs ipv6.address');
  });
});

describe('NicRules', () => {
  it('sets what a started NIC asks for, changes what changes, and takes it away', async () => {
    const tc = new RecordingTc();
    const firewall = new RecordingFirewall();
    const rules = new NicRules(tc, firewall);
    const hostNames = { eth0: 'veth1' };
    const limited = spec({ 'limits.ingress': '1Mbit', 'security.mac_filtering': 'true' });

    await rules.apply(limited, hostNames);
    await rules.apply(limited, hostNames, { spec: limited, hostNames });
    expect(tc.set).toEqual(['veth1 1000000 0']);
    expect(firewall.filters.get('eth0')?.hostName).toBe('veth1');

    await rules.apply(spec({}), hostNames, { spec: limited, hostNames });
    expect(tc.set).toEqual(['veth1 1000000 0', 'veth1 0 0']);
    expect(firewall.filters.size).toBe(0);

    await rules.apply(limited, hostNames);
    await rules.forget(limited);
    expect(firewall.filters.size).toBe(0);
  });
});
