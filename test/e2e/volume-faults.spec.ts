import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/**
 * Kills the daemon or the agent at instants spread over what is done to custom volumes. Afterwards each is done or undone: no row without its files, no
 * file without its row, nothing half made in a pool.
 */
const member = new Member();
const delaysMs = [0, 20, 60, 120];
const pools = ['default', 'plain'];

beforeAll(async () => {
  await member.startWith({ driver: 'btrfs' });
  must(member, 'lxc storage create plain dir; lxc storage volume create default big; lxc init bb c1; lxc storage volume attach default big c1 d /d; lxc start c1');
  must(member, 'lxc exec c1 -- sh -c "dd if=/dev/urandom of=/d/data bs=1M count=24 2>/dev/null"; lxc delete -f c1; lxc storage volume snapshot default big s0');
});
afterAll(async () => expect(await member.destroy()).toEqual([]));

async function killDuring(victim: 'daemon' | 'agent', line: string, delayMs: number): Promise<void> {
  await member.killDuring(victim, line, delayMs);
  await expectConsistent();
}

const below = (path: string): string[] => (existsSync(join(member.dir, path)) ? readdirSync(join(member.dir, path)) : []);

/** Custom volumes and their snapshots, as the API names them and as they lie on the disk; scratch of any kind counts. */
function seen(): { rows: string[]; files: string[]; running: boolean } {
  const names = (pool: string): string[] => (JSON.parse(must(member, `lxc query '/1.0/storage-pools/${pool}/volumes/custom?recursion=1'`)) as { name: string }[]).map(({ name }) => `${pool}/${name}`);
  const files = (pool: string): string[] => [
    ...below(`storage-pools/${pool}/custom`).map((name) => `${pool}/${name}`),
    ...below(`storage-pools/${pool}/custom-snapshots`).flatMap((name) => below(`storage-pools/${pool}/custom-snapshots/${name}`).map((snapshot) => `${pool}/${name}/${snapshot}`)),
  ].map((path) => path.replace('/default_', '/'));
  return { rows: pools.flatMap(names).sort(), files: pools.flatMap(files).sort(), running: member.run('lxc query /1.0/operations').stdout.includes('running') };
}

async function expectConsistent(): Promise<void> {
  await eventually(seen, ({ rows, files, running }) => !running && JSON.stringify(rows) === JSON.stringify(files), 30_000);
}

const has = (path: string): boolean => seen().rows.includes(path);

for (const victim of ['daemon', 'agent'] as const) {
  describe(`kill -9 of the ${victim}`, () => {
    it.each(delaysMs)('%i ms into creating, renaming, growing and deleting a volume leaves nothing half done', async (delay) => {
      await killDuring(victim, 'lxc storage volume create default v1 size=20MiB', delay);
      if (!has('default/v1')) must(member, 'lxc storage volume create default v1 size=20MiB');
      await killDuring(victim, 'lxc storage volume set default v1 size=30MiB', delay);
      await killDuring(victim, 'lxc storage volume rename default v1 v2', delay);
      if (has('default/v1')) must(member, 'lxc storage volume rename default v1 v2');
      await killDuring(victim, 'lxc storage volume delete default v2', delay);
      if (has('default/v2')) must(member, 'lxc storage volume delete default v2');
      await expectConsistent();
      expect(seen().rows).toEqual(['default/big', 'default/big/s0']);
    });

    it.each(delaysMs)('%i ms into a snapshot, its restoration and its removal leaves nothing half done', async (delay) => {
      await killDuring(victim, 'lxc storage volume snapshot default big s1', delay);
      if (!has('default/big/s1')) must(member, 'lxc storage volume snapshot default big s1');
      await killDuring(victim, 'lxc storage volume restore default big s1', delay);
      expect(below('storage-pools/default/custom/default_big')).toEqual(['data']);
      await killDuring(victim, 'lxc storage volume delete default big/s1', delay);
      if (has('default/big/s1')) must(member, 'lxc storage volume delete default big/s1');
    });

    it.each(delaysMs)('%i ms into a copy to another pool, its refresh and its move back leaves nothing half done', async (delay) => {
      await killDuring(victim, 'lxc storage volume copy default/big plain/copy', delay);
      if (!has('plain/copy')) must(member, 'lxc storage volume copy default/big plain/copy');
      await killDuring(victim, 'lxc storage volume copy default/big plain/copy --refresh', delay);
      await killDuring(victim, `lxc query --wait -X POST -d '{"name":"moved","pool":"default"}' /1.0/storage-pools/plain/volumes/custom/copy`, delay);
      expect(seen().rows.filter((path) => /^(plain\/copy|default\/moved)$/.test(path))).toHaveLength(1);
      must(member, 'lxc storage volume delete plain copy 2>/dev/null || lxc storage volume delete default moved');
      await expectConsistent();
      expect(seen().rows).toEqual(['default/big', 'default/big/s0']);
    });
  });
}
