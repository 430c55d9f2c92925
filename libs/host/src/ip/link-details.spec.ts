import { describe, expect, it } from 'vitest';
import { encodeAttributes, type Attribute } from '../netlink/netlink-message.js';
import type { NetlinkLink } from '../netlink/links.js';
import { linkDetails } from './link-details.js';

const counters = { rxPackets: 1, txPackets: 2, rxBytes: 3, txBytes: 4, rxErrors: 5, txErrors: 6, rxDropped: 7, txDropped: 8 };

function link(index: number, name: string, more: Partial<NetlinkLink> = {}): NetlinkLink {
  return { index, name, flags: 0x1003, mtu: 1500, mac: '00:16:3e:00:00:01', master: 0, peer: 0, kind: '', kindData: Buffer.alloc(0), alias: '', counters, ...more };
}

const data = (...attributes: Attribute[]): Buffer => encodeAttributes(attributes);

describe('linkDetails', () => {
  it('joins links, masters and addresses', () => {
    const [loopback, port] = linkDetails({
      links: [link(1, 'lo', { flags: 0x10049, mac: '' }), link(2, 'veth1', { kind: 'veth', master: 3 }), link(3, 'br0', { kind: 'bridge' })],
      addresses: [{ index: 1, family: 'inet', address: '127.0.0.1', prefix: 8, scope: 'local' }],
    });

    expect(loopback).toMatchObject({ type: 'loopback', up: true, running: true, hwaddr: '', addresses: [{ family: 'inet', address: '127.0.0.1', prefixLength: 8, scope: 'local' }] });
    expect(port).toMatchObject({ type: 'broadcast', master: 'br0', running: false, received: { bytes: 3, packets: 1, errors: 5, dropped: 7 } });
  });

  it('reads bridges, bonds and VLANs', () => {
    const pvid = Buffer.from([1, 0]);
    const [bridge, bond, vlan] = linkDetails({
      addresses: [],
      links: [
        link(1, 'br0', { kind: 'bridge', kindData: data([1, 1500], [5, 1], [7, Buffer.from([1])], [11, Buffer.from('800000163ef2c7a7', 'hex')], [39, pvid]) }),
        link(2, 'bond0', { kind: 'bond', kindData: data([1, Buffer.from([4])], [3, 100], [4, 200], [5, 300], [14, Buffer.from([1])]) }),
        link(3, 'br0.5', { kind: 'vlan', peer: 1, kindData: data([1, Buffer.from([5, 0])]) }),
      ],
    });

    expect(bridge?.bridge).toEqual({ id: '8000.00163ef2c7a7', stp: true, forwardDelay: 1500, vlanFiltering: true, vlanDefault: 1 });
    expect(bond?.bond).toEqual({ mode: '802.3ad', transmitPolicy: 'layer3+4', upDelay: 200, downDelay: 300, miiFrequency: 100 });
    expect(vlan).toMatchObject({ vlanId: 5, lower: 'br0' });
  });
});
