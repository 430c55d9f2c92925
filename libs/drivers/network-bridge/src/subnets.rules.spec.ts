import { describe, expect, it } from 'vitest';
import { formatAddress, lastAddress, nthAddress, parseAddress, sameCidr, subnetOf } from './subnets.rules.js';

describe('addresses', () => {
  it.each(['10.1.2.3', 'fd42:1:2:3::1', '::1', '::', '1::', 'fe80::216:3eff:fe8a:f6be', '1:2:3:4:5:6:7:8'])('%s survives', (text) => {
    const address = parseAddress(text);
    expect(address && formatAddress(address)).toBe(text);
  });

  it.each(['10.1.2', '10.1.2.256', 'fd42', '1:2:3', '1::2::3', ''])('%s is none', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  it('counts in subnets', () => {
    expect(nthAddress('10.1.2.99/24', 2n)).toBe('10.1.2.2');
    expect(lastAddress('10.1.2.1/23')).toBe('10.1.3.254');
    expect(lastAddress('fd55::1/64')).toBe('fd55::ffff:ffff:ffff:ffff');
    expect(subnetOf('10.1.2.99/24')).toBe('10.1.2.0/24');
    expect(subnetOf('10.9.9.9')).toBe('10.9.9.9/32');
    expect(sameCidr('fd42:0::1/64', 'fd42::1/64')).toBe(true);
  });
});
