import { describe, expect, it } from 'vitest';
import { isBoundToMember } from './bound-devices.rules.js';

const root = { type: 'disk', path: '/', pool: 'default' };

describe('isBoundToMember', () => {
  it.each([
    [{}, false],
    [{ type: 'none' }, false],
    [{ type: 'nic', network: 'br0' }, false],
    [{ type: 'nic', nictype: 'bridged', parent: 'br0' }, true],
    [{ type: 'nic', nictype: 'p2p' }, true],
    [{ type: 'disk', pool: 'default', source: 'v1', path: '/data' }, true],
    [{ type: 'disk', source: '/srv', path: '/srv' }, true],
    [{ type: 'unix-char', source: '/dev/null' }, true],
    [{ type: 'proxy', listen: 'tcp:0.0.0.0:80', connect: 'tcp:127.0.0.1:80' }, true],
  ])('%j: %s', (device, bound) => {
    expect(isBoundToMember({ root, ...('type' in device ? { d: device } : {}) })).toBe(bound);
  });
});
