import { describe, expect, it } from 'vitest';
import { decodeAddress, decodeLink, ipv6Text } from './links.js';
import { decodeMessages, encodeMessage } from './netlink-message.js';

/** Recorded: one RTM_NEWLINK of an `eth0` inside a container (veth), attributes we do not read left out. */
function recordedLink(): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeInt32LE(6, 4);
  fixed.writeUInt32LE(0x11043, 8);
  const counters = Buffer.alloc(200);
  counters.writeBigUInt64LE(7n, 0);
  counters.writeBigUInt64LE(2n, 8);
  counters.writeBigUInt64LE(0x1_0000_0001n, 16);
  counters.writeBigUInt64LE(180n, 24);
  return encodeMessage(16, 2, 1, fixed, [
    [3, 'eth0'], [4, 1500], [5, 7], [10, 3], [1, Buffer.from('00163e1605c2', 'hex')], [23, counters], [18, [[1, 'veth']]],
  ]);
}

describe('decodeLink', () => {
  it('reads what a container interface is', () => {
    const [message] = [...decodeMessages(recordedLink())];

    expect(decodeLink(message!.payload)).toMatchObject({
      index: 6, name: 'eth0', mtu: 1500, peer: 7, master: 3, mac: '00:16:3e:16:05:c2', kind: 'veth',
      counters: { rxPackets: 7, txPackets: 2, rxBytes: 0x1_0000_0001, txBytes: 180 },
    });
  });
});

describe('decodeAddress', () => {
  it('takes the own end of a point-to-point link', () => {
    const [message] = [...decodeMessages(encodeMessage(20, 2, 1, Buffer.from([2, 32, 0, 0, 6, 0, 0, 0]), [
      [1, Buffer.from([10, 0, 0, 1])], [2, Buffer.from([10, 0, 0, 2])],
    ]))];

    expect(decodeAddress(message!.payload)).toEqual({ index: 6, family: 'inet', address: '10.0.0.2', prefix: 32, scope: 'global' });
  });

  it('tells link-local and host addresses', () => {
    const address = Buffer.from('fe8000000000000002163efffe1605c2', 'hex');
    const [message] = [...decodeMessages(encodeMessage(20, 2, 1, Buffer.from([10, 64, 0x80, 253, 6, 0, 0, 0]), [[1, address]]))];

    expect(decodeAddress(message!.payload)).toMatchObject({ address: 'fe80::216:3eff:fe16:5c2', prefix: 64, scope: 'link' });
  });
});

describe('ipv6Text', () => {
  it('shortens as RFC 5952 says', () => {
    const text = (hex: string): string => ipv6Text(Buffer.from(hex, 'hex'));

    expect(text('00000000000000000000000000000001')).toBe('::1');
    expect(text('00000000000000000000000000000000')).toBe('::');
    expect(text('20010db8000000010001000100010001')).toBe('2001:db8:0:1:1:1:1:1');
    expect(text('20010db8000000000001000000000001')).toBe('2001:db8::1:0:0:1');
  });
});
