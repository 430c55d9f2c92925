import { describe, expect, it } from 'vitest';
import { decodeLinkSettings, Ethtool } from './ethtool.js';

describe('Ethtool', () => {
  it('asks the loopback interface, which has a link and no plug', () => {
    expect(new Ethtool().port('lo')).toMatchObject({ linkDetected: true, speed: 0, supportedModes: [] });
  });

  it('has nothing to say of an interface that is not there', () => {
    const ethtool = new Ethtool();

    expect(ethtool.port('no-such-link')).toMatchObject({ permanentAddress: '', portType: '', linkDetected: false });
    expect(ethtool.firmwareVersion('no-such-link')).toBe('');
  });
});

describe('decodeLinkSettings', () => {
  /** As an Intel I350 with a cable in it answers. */
  it('reads speeds and plugs', () => {
    const answer = Buffer.alloc(48 + 2 * 3 * 4);
    answer.writeUInt32LE(1000, 4);
    answer.set([1, 0, 1, 1], 8);
    answer.writeInt8(2, 15);
    answer.writeUInt32LE(0b1110_1111, 48);
    answer.writeUInt32LE(1 << 15, 52);

    expect(decodeLinkSettings(answer)).toEqual({
      supportedModes: ['10baseT/Half', '10baseT/Full', '100baseT/Half', '100baseT/Full', '1000baseT/Full', '2500baseT/Full'],
      supportedPorts: ['twisted pair'], portType: 'twisted pair', transceiverType: 'internal', autoNegotiation: true, speed: 1000, duplex: 'full',
    });
  });
});
