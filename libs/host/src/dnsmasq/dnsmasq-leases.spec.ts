import { expect, it } from 'vitest';
import { parseLeases } from './dnsmasq-leases.js';

it('reads leases of both families', () => {
  const text = '1795240749 00:16:3e:66:29:9a 10.131.77.171 c1 01:00:16:3e:66:29:9a\n0 00:16:3e:66:29:9b 10.131.77.172 * *\n'
    + 'duid 00:01:00:01:32:93:df:2d:00:16:3e:f2:c7:a7\n1795240800 4091242 fd42::12 c2 00:01:00:01:2c:11:22:33:00:16:3e:66:29:9c\n';

  expect(parseLeases(text)).toEqual([
    { expiresAt: 1795240749, hwaddr: '00:16:3e:66:29:9a', address: '10.131.77.171', hostname: 'c1', clientId: '01:00:16:3e:66:29:9a' },
    { expiresAt: 0, hwaddr: '00:16:3e:66:29:9b', address: '10.131.77.172', hostname: '', clientId: '*' },
    { expiresAt: 1795240800, hwaddr: '00:16:3e:66:29:9c', address: 'fd42::12', hostname: 'c2', clientId: '00:01:00:01:2c:11:22:33:00:16:3e:66:29:9c' },
  ]);
});
