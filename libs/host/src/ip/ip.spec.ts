import { describe, expect, it } from 'vitest';
import { IpBatch } from './ip-batch.js';
import { CommandRunner } from '../command.js';
import { Ip, parseFunctions, parseRoutes } from './ip.js';

describe('parseRoutes', () => {
  it('reads destinations, and nothing where a family is missing', () => {
    expect(parseRoutes('[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},{"dst":"10.1.2.0/24","dev":"br0"}]')).toEqual([
      { destination: 'default', device: 'eth0' }, { destination: '10.1.2.0/24', device: 'br0' },
    ]);
    expect(parseRoutes('')).toEqual([]);
  });
});

describe('parseFunctions', () => {
  it('reads how a card treats its functions, of either version of ip', () => {
    const recorded = '[{"ifindex":4,"ifname":"enp5s0f0","vfinfo_list":[{"vf":0,"link_type":"ether","address":"3e:f1:00:00:00:01","broadcast":"ff:ff:ff:ff:ff:ff","vlan_list":[{"vlan":12}],'
      + '"spoofchk":true,"link_state":"auto","trust":false,"query_rss_en":false},{"vf":1,"mac":"3e:f1:00:00:00:02","spoofchk":false}]}]';
    expect(parseFunctions(recorded)).toEqual([{ id: 0, hwaddr: '3e:f1:00:00:00:01', vlan: 12, spoofcheck: true }, { id: 1, hwaddr: '3e:f1:00:00:00:02', vlan: 0, spoofcheck: false }]);
    expect(parseFunctions('[{"ifname":"lo"}]')).toEqual([]);
  });
});

describe('Ip.apply', () => {
  it('names the line that failed', async () => {
    const batch = new IpBatch().setUp('lo').deleteLink('no-such-link');
    await expect(new Ip(new CommandRunner()).apply(batch)).rejects.toThrow(/^Failed to run: ip link (set dev lo up|delete dev no-such-link): exit status/);
  });

  it('refuses text that would be another command', () => {
    expect(() => new IpBatch().setUp('lo\nnetns exec x sh')).toThrow('Unsafe text');
  });
});

describe('IpBatch', () => {
  it('writes one line per verb', () => {
    const batch = new IpBatch().addBridge({ name: 'br0', hwaddr: '', mtu: 1500, alias: 'roost:1' }).addAddress('br0', '10.0.0.1/24').addAddress('br0', 'fd42::1/64').setUp('br0');

    expect(batch.text()).toBe('link add name br0 mtu 1500 type bridge\nlink set dev br0 alias roost:1\naddress add 10.0.0.1/24 dev br0\n'
      + 'address add fd42::1/64 dev br0 nodad\nlink set dev br0 up\n');
  });
});
