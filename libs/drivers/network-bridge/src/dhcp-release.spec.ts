import { expect, it } from 'vitest';
import { releasePacket } from './dhcp-release.js';

it('makes the packet a client would send', () => {
  const packet = releasePacket({ hwaddr: '00:16:3e:00:00:07', address: '10.1.2.3', serverAddress: '10.1.2.1', clientId: '01:00:16:3e:00:00:07' });

  expect(packet.subarray(0, 3)).toEqual(Buffer.from([1, 1, 6]));
  expect(packet.subarray(12, 16)).toEqual(Buffer.from([10, 1, 2, 3]));
  expect(packet.subarray(28, 34).toString('hex')).toBe('00163e000007');
  expect(packet.subarray(236, 262).toString('hex')).toBe('6382536335010736040a010201' + '3d0701' + '00163e000007' + 'ff' + '000000');
});
