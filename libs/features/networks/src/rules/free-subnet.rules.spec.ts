import { describe, expect, it } from 'vitest';
import { chooseSubnet, overlap } from './free-subnet.rules.js';

describe('overlap', () => {
  it.each([
    ['10.1.2.0/24', '10.1.2.99/32', true], ['10.0.0.0/8', '10.1.2.1/24', true], ['10.1.2.0/24', '10.1.3.0/24', false], ['10.1.2.3', '10.1.2.0/24', true],
    ['fd42::/16', 'fd42:1::1/64', true], ['fd42:1::/64', 'fd42:2::/64', false], ['fd00::1', '10.0.0.0/8', false], ['nonsense', '10.0.0.0/8', false],
  ])('%s and %s: %s', (a, b, expected) => {
    expect(overlap(a, b)).toBe(expected);
  });
});

describe('chooseSubnet', () => {
  it('takes the first that is free', () => {
    const bytes = ['0102', '0a0b'];
    expect(chooseSubnet('ipv4', ['10.1.0.0/16'], () => bytes.shift() ?? '')).toBe('10.10.11.1/24');
    expect(chooseSubnet('ipv6', [], () => 'b736a65b065c')).toBe('fd42:b736:a65b:65c::1/64');
  });

  it('gives up when everything is taken', () => {
    expect(() => chooseSubnet('ipv4', ['10.0.0.0/8'], () => '0102')).toThrow('Failed generating auto config: Failed to automatically find an unused IPv4 subnet, manual configuration required');
  });
});
