import { describe, expect, it } from 'vitest';
import { unixNode, type HostNode } from './unix-nodes.rules.js';

const host: Readonly<Record<string, HostNode>> = { '/dev/zero': { kind: 'c', major: 1, minor: 5 }, '/dev/loop0': { kind: 'b', major: 7, minor: 0 }, '/dev/dir': { kind: 'other', major: 0, minor: 0 } };
const nodeOf = (config: Record<string, string>) => unixNode({ name: 'd', config: { type: 'unix-char', ...config } }, (path) => host[path] ?? null);

describe('unixNode', () => {
  it('takes numbers from the host or from the configuration', () => {
    const owned = { mode: 0o660, uid: 0, gid: 0 };
    expect(nodeOf({ source: '/dev/zero' })).toEqual({ kind: 'c', major: 1, minor: 5, path: '/dev/zero', ...owned });
    expect(nodeOf({ path: '/dev/zero', mode: '0600', uid: '1', gid: '2' })).toEqual({ kind: 'c', major: 1, minor: 5, path: '/dev/zero', mode: 0o600, uid: 1, gid: 2 });
    expect(nodeOf({ source: '/dev/nope', path: 'opt/x', major: '4', minor: '71' })).toEqual({ kind: 'c', major: 4, minor: 71, path: '/opt/x', ...owned });
    expect(nodeOf({ type: 'unix-block', source: '/dev/loop0', path: '/dev/disk' })).toMatchObject({ kind: 'b', major: 7, minor: 0, path: '/dev/disk' });
  });

  it('answers as LXD does when the host has nothing fitting', () => {
    expect(() => nodeOf({ path: '/dev/nope' })).toThrow("The required device path doesn't exist and the major and minor settings are not specified");
    expect(nodeOf({ path: '/dev/nope', required: 'false' })).toBeNull();
    expect(() => nodeOf({ path: '/dev/zero', major: '4' })).toThrow('Both major and minor must be supplied for device: /dev/zero');
    expect(() => nodeOf({ source: '/dev/loop0' })).toThrow('Path specified is not a unix-char device');
    expect(() => nodeOf({ type: 'unix-block', source: '/dev/zero' })).toThrow('Path specified is not a unix-block device');
    expect(() => nodeOf({ source: '/dev/dir' })).toThrow('Path specified is not a unix-char device');
  });
});
