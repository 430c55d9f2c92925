import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { StateDirectory } from '#kernel';
import type { InstanceSpec } from '#ports';
import { DiskMounts } from './disk-devices.js';
import type { BlockSources } from './disk-sources.js';
import { policyForPlainDaemon, policyForRootDaemon } from './host-policy.js';
import { LxcPaths } from './lxc-paths.js';

describe('DiskMounts', () => {
  const [root, shared] = ['root', 'shared'].map((name) => mkdtempSync(join(tmpdir(), `roost-disks-${name}-`))) as [string, string];
  afterAll(() => [root, shared].forEach((path) => { rmSync(path, { recursive: true }); }));
  const state = new StateDirectory(root);
  const spec = { projectName: 'c1', volumes: [], idmap: [] } as unknown as InstanceSpec;
  const attach = (policy: typeof policyForPlainDaemon, source: string) =>
    new DiskMounts(new LxcPaths(state, 'abc'), state, policy, {} as BlockSources).attach(spec, { name: 'd1', config: { type: 'disk', source, path: '/d1' } });

  it('takes nothing by way of what a process has open where it matters where a disk comes from', async () => {
    await expect(attach(policyForPlainDaemon, `/proc/${process.pid}/root${shared}`)).rejects.toThrow('ELOOP');
    // Elsewhere it is as good a path as any: what is missing here is the place to mount at.
    await expect(attach(policyForRootDaemon, `/proc/${process.pid}/root${shared}`)).rejects.toThrow('ENOENT');
    await expect(attach(policyForPlainDaemon, shared)).rejects.toThrow('ENOENT');
  });
});
