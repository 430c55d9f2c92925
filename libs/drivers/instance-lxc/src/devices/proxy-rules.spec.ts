import { describe, expect, it } from 'vitest';
import { setupText } from '#host';
import type { InstanceSpec } from '#ports';
import { proxyAddress, proxyEndpoints } from './proxy-endpoints.rules.js';
import { proxyForward } from './proxy-forward.rules.js';

const endpoints = (listen: string, connect: string) => proxyEndpoints(proxyAddress(listen), proxyAddress(connect));

describe('proxyEndpoints', () => {
  it('expands ports, and listens everywhere as Go does', () => {
    const { listen, connect } = endpoints('tcp:0.0.0.0:80-82,90', 'tcp:[::]:8080');

    expect(listen.map(({ address, port }) => `${address} ${port}`)).toEqual(['* 80', '* 81', '* 82', '* 90']);
    expect(connect).toEqual([{ protocol: 'tcp', address: '::1', port: 8080 }]);
    expect(endpoints('unix:@a:b', 'tcp::80')).toEqual({ listen: [{ protocol: 'unix', address: '@a:b', port: 0 }], connect: [{ protocol: 'tcp', address: '127.0.0.1', port: 80 }] });
    expect(endpoints('udp:[fd42::1]:53', 'udp:127.0.0.1:53').listen).toEqual([{ protocol: 'udp', address: 'fd42::1', port: 53 }]);
  });

  it('refuses what LXD does not proxy', () => {
    expect(() => endpoints('udp:127.0.0.1:53', 'tcp:127.0.0.1:53')).toThrow('Proxying from udp to non-udp protocol is not supported');
    expect(() => endpoints('tcp:127.0.0.1:70000', 'tcp:127.0.0.1:53')).toThrow('Failed to listen on 127.0.0.1:70000: listen tcp: address 70000: invalid port');
  });
});

describe('setupText', () => {
  it('says everything in lines, of which an address makes no more', () => {
    const setup = {
      init: { pid: 5, startTicks: 7 }, bind: 'host' as const, userNamespace: true, header: true, uid: 1, gid: null, owner: 2, group: 3, mode: '0600',
      ...endpoints('unix:/run/a b', 'udp:127.0.0.1:53'), pidFile: '', logFile: '',
    };
    expect(setupText(setup)).toBe('init 5 7\nbind host\nuserns 1\nheader 1\nuid 1\nowner 2\ngroup 3\nmode 0600\nlisten unix /run/a b\nconnect udp 127.0.0.1 53\n');
    expect(() => setupText({ ...setup, ...endpoints('unix:/a\nuid 0', 'tcp:127.0.0.1:1') })).toThrow('line break');
  });
});

describe('proxyForward', () => {
  const spec = (nic: Record<string, string>): InstanceSpec => ({
    id: 1, project: 'default', name: 'c1', projectName: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false, config: {}, nics: [], volumes: [], idmap: [], placementEpoch: 1,
    devices: [{ name: 'eth0', config: { type: 'nic', ...nic } }], rootVolume: { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: 'c1' },
  });
  const forward = (nic: Record<string, string>, listen: string, connect: string) => proxyForward(spec(nic), { name: 'p', config: { type: 'proxy', nat: 'true', listen, connect } });

  it('sends to a fixed address of the instance', () => {
    expect(forward({ 'ipv4.address': '10.1.1.2' }, 'tcp:192.0.2.1:80', 'tcp:0.0.0.0:8080')).toEqual({
      nic: 'eth0', protocol: 'tcp', family: 4, listenAddress: '192.0.2.1', connectAddress: '10.1.1.2', listenPorts: [80], connectPorts: [8080],
    });
    expect(forward({ nictype: 'routed', 'ipv6.address': 'fd42::1, fd42::2' }, 'udp:[fd00::1]:53', 'udp:[fd42::2]:53')).toMatchObject({ family: 6, connectAddress: 'fd42::2', protocol: 'udp' });
  });

  it('refuses others in LXD\'s words', () => {
    expect(() => forward({}, 'tcp:192.0.2.1:80', 'tcp:0.0.0.0:80')).toThrow('Instance has no static IPv4 address assigned to be used as the connect IP');
    expect(() => forward({ 'ipv4.address': '10.1.1.2' }, 'tcp:192.0.2.1:80', 'tcp:10.1.1.3:80')).toThrow(`Connect IP "10.1.1.3" must be one of the instance's static IPv4 addresses`);
    expect(() => forward({ nictype: 'macvlan', 'ipv4.address': '10.1.1.2' }, 'tcp:192.0.2.1:80', 'tcp:10.1.1.2:80')).toThrow('must be one of');
  });
});
