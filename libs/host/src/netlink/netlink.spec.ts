import { describe, expect, it } from 'vitest';
import { needsRoot, unmet } from '../../../../test/support/needs.js';
import { Netlink } from './netlink.js';

describe('describe', () => {
  it('sees the loopback interface of our own namespace', () => {
    const netlink = new Netlink();
    const { links, addresses } = netlink.describe();
    const loopback = links.find(({ name }) => name === 'lo')!;

    expect(loopback.mac).toBe('');
    expect(addresses.filter(({ index }) => index === loopback.index).map(({ address, scope }) => `${address} ${scope}`)).toContain('127.0.0.1 local');
    netlink.close();
  });

  it.skipIf(unmet('other network namespaces', needsRoot))('sees the namespace of another process, and stays in its own', () => {
    const netlink = new Netlink();
    const before = netlink.listLinks().map(({ name }) => name);

    expect(netlink.describe(process.pid).links.map(({ name }) => name)).toEqual(before);
    expect(netlink.listLinks().map(({ name }) => name)).toEqual(before);
    netlink.close();
  });

  it('tells when the process is gone', () => {
    const netlink = new Netlink();

    expect(() => netlink.describe(2 ** 22 + 1)).toThrow('ENOENT');
    netlink.close();
  });
});
