import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { messageOf } from '#kernel';
import { expandProfiles, validateDevices, validateInstanceConfig, type Config, type Devices, type DeviceScope } from './index.js';

type Sample = [owner: 'profile' | 'instance', what: 'config' | 'devices', body: never, error: string];

// What a running LXD 5.0.2 answered to a PUT of each body, recorded through its API: on a profile, and on a container whose profile has
// only a root disk. An instance's sample stands only where its answer differs from the profile's by more than the prefix.
const samples = readFileSync(new URL('lxd-5.0.2.samples.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Sample);

const bridge = { name: 'opbr0', type: 'bridge', config: { 'ipv4.address': '10.133.7.1/24', 'ipv6.address': 'fd42:77::1/64' } };
const rootProfile = { config: {}, devices: { root: { type: 'disk', path: '/', pool: 'default' } } };

function answer(check: () => void, prefix = ''): string {
  try {
    check();
    return '';
  } catch (error) {
    return prefix + messageOf(error);
  }
}

function answerTo([owner, what, body]: Sample): string {
  const profile = owner === 'profile';
  const type = profile ? 'any' : 'container';
  if (what === 'config') {
    return answer(() => validateInstanceConfig(body as Config, { type, profile, expanded: false }), profile ? '' : 'Invalid config: ');
  }
  const scope: DeviceScope = { instanceType: type, expanded: false, project: 'default', network: (name) => (name === 'opbr0' ? bridge : undefined) };
  const own = answer(() => validateDevices(body as Devices, scope), profile ? '' : 'Invalid devices: ');
  if (own !== '' || profile) return own;
  const { devices } = expandProfiles([rootProfile], {}, body as Devices);
  return answer(() => validateDevices(devices, { ...scope, expanded: true }), 'Invalid expanded devices: ');
}

describe('validation of instances and profiles', () => {
  it('answers what LXD 5.0.2 answered', () => {
    expect(samples.length).toBeGreaterThan(500);

    const different = samples.map((sample) => ({ sample, got: answerTo(sample) })).filter(({ sample, got }) => got !== sample[3]);

    expect(different).toEqual([]);
  });

  it('tells containers from virtual machines', () => {
    const validate = (type: 'container' | 'virtual-machine', config: Config) => () => validateInstanceConfig(config, { type, profile: false, expanded: false });

    expect(validate('virtual-machine', { 'security.secureboot': 'true', 'limits.cpu': '2' })).not.toThrow();
    expect(validate('container', { 'security.secureboot': 'true' })).toThrow('Unknown configuration key: security.secureboot');
    expect(validate('virtual-machine', { 'security.privileged': 'true' })).toThrow('Unknown configuration key: security.privileged');
  });

  it('refuses text that is no YAML where YAML is asked for', () => {
    const validate = (config: Config) => () => validateInstanceConfig(config, { type: 'any', profile: true, expanded: false });

    expect(validate({ 'cloud-init.network-config': '}{' })).toThrow(/^yaml: line 1/);
    expect(validate({ 'cloud-init.user-data': '#cloud-config\na: [' })).toThrow(/^yaml: line 2/);
    expect(validate({ 'cloud-init.user-data': '#!/bin/sh\na: [' })).not.toThrow();
  });
});

describe('expandProfiles', () => {
  it('lets later profiles and the instance win, whole devices at a time', () => {
    const first = { config: { a: '1', b: '1' }, devices: { eth0: { type: 'nic', network: 'n1', mtu: '1400' } } };
    const second = { config: { b: '2' }, devices: { eth0: { type: 'nic', network: 'n2' } } };

    const expanded = expandProfiles([first, second], { c: '3' }, { root: { type: 'disk' } });

    expect(expanded).toEqual({ config: { a: '1', b: '2', c: '3' }, devices: { eth0: { type: 'nic', network: 'n2' }, root: { type: 'disk' } } });
  });
});
