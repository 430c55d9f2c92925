import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, Pair } from '../support/pair.js';
import { unmet } from '../support/needs.js';
import { Target } from '../support/target.js';

type Json = Record<string, unknown>;

/** What moves between two looks, or depends on whether the daemon may open disks (LXD asks the device for its block size). */
const moving = new Set(['used', 'block_size', 'frequency']);

function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settled);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !moving.has(key)).map(([key, inner]) => [key, settled(inner)]));
}

describe.skipIf(unmet('facts about the host', Target.whyNotBoth()))('facts about the host', () => {
  const pair = new Pair();
  const ask = (target: Target, path: string): Json => JSON.parse(must(target, `lxc query ${path}`)) as Json;
  beforeAll(() => pair.start());
  afterAll(() => pair.destroy());

  it.each(['cpu', 'memory', 'gpu', 'network', 'storage', 'usb', 'pci', 'system'])('has the same %s', (section) => {
    expect(settled(ask(pair.roost, '/1.0/resources')[section])).toEqual(settled(ask(pair.lxd, '/1.0/resources')[section]));
  });

  it.each(['architectures', 'driver', 'driver_version', 'firewall', 'kernel', 'kernel_architecture', 'kernel_features', 'kernel_version', 'lxc_features', 'os_name', 'os_version', 'server_name'])(
    'has the same %s in the environment', (field) => {
      const [ours, theirs] = [pair.roost, pair.lxd].map((target) => (ask(target, '/1.0')['environment'] as Json)[field]);
      expect(ours).toEqual(theirs);
    });
});
