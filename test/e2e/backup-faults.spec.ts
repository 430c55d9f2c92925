import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/**
 * Kills the daemon or the agent at instants spread over publish, export and import. Afterwards each is done or undone: no row without its files, no file
 * without its row, nothing half made in the pool, and the instance as it was.
 */
const member = new Member();
const delaysMs = [0, 60, 250];

beforeAll(async () => {
  await member.startWith({ driver: 'btrfs' });
  must(member, 'lxc init bb c1; lxc start c1; lxc exec c1 -- sh -c "dd if=/dev/urandom of=/root/big bs=1M count=24 2>/dev/null"; lxc stop -f c1; lxc snapshot c1 s0');
  must(member, 'lxc export -q c1 plain --compression none; lxc export -q c1 optimized --optimized-storage');
});
afterAll(async () => expect(await member.destroy()).toEqual([]));

const below = (path: string): string[] => (existsSync(join(member.dir, path)) ? readdirSync(join(member.dir, path)) : []);
/** The client prints nothing for nothing. */
const json = <T>(line: string, nothing = '[]'): T => JSON.parse(must(member, line).trim() || nothing) as T;

/** What there is of instances, images and backups, on the disk and in the rows; scratch of any kind counts. */
function seen(): Record<string, string[]> {
  const images = json<{ fingerprint: string }[]>('lxc image list --format json').map(({ fingerprint }) => fingerprint).sort();
  const backups = member.instances().flatMap(({ name }) => json<string[]>(`lxc query /1.0/instances/${name}/backups`));
  return {
    rows: member.instances().map(({ name }) => name).sort(), volumes: below('storage-pools/default/containers').sort(), links: below('containers').sort(),
    images, files: below('images').sort(), uploads: below('uploads'), backups: backups.map(() => 'backup'), archives: below('backups/instances').map(() => 'backup'),
    imports: below('backups').filter((name) => name !== 'instances'), operations: json<Record<string, string[]>>('lxc query /1.0/operations', '{}')['running'] ?? [],
  };
}

async function expectConsistent(): Promise<void> {
  // What a killed agent has left of a pool's clones goes when the next one uses the pool.
  must(member, 'lxc storage info default');
  await eventually(seen, ({ rows, volumes, links, images, files, uploads, backups, archives, imports, operations }) =>
    [[rows, volumes], [rows, links], [images, files], [backups, archives]].every(([a, b]) => JSON.stringify(a) === JSON.stringify(b)) && [uploads, imports, operations].every((list) => list!.length === 0), 20_000);
  expect(must(member, 'lxc list -f csv -c nsS c1').trim()).toBe('c1,STOPPED,1');
}

for (const victim of ['daemon', 'agent'] as const) {
  describe(`kill -9 of the ${victim}`, () => {
    it.each(delaysMs)('%i ms into publish leaves nothing half done', async (delay) => {
      await member.killDuring(victim, `lxc publish -q c1 --compression none --alias p at=${victim}${delay}`, delay);
      await expectConsistent();
      must(member, 'lxc image list -f csv -c f | tail -n +2 >/dev/null; for i in $(lxc image list -f csv -c lf | grep -v "^bb," | cut -d, -f2); do lxc image delete "$i"; done');
    });

    it.each(delaysMs)('%i ms into a backup leaves nothing half done', async (delay) => {
      for (const flags of ['"compression_algorithm":"none"', '"optimized_storage":true']) {
        await member.killDuring(victim, `lxc query --wait -X POST -d '{"name":"b",${flags}}' /1.0/instances/c1/backups`, delay);
        await expectConsistent();
        const there = json<string[]>('lxc query /1.0/instances/c1/backups');
        for (const url of there) {
          expect(must(member, `curl -s --unix-socket "$LXD_DIR/unix.socket" "http://x${url}/export" | (gzip -dcf || cat) | tar tf - | tail -1`)).not.toBe('');
          must(member, `lxc query --wait -X DELETE ${url}`);
        }
      }
    });

    it.each(delaysMs)('%i ms into an import leaves nothing half done', async (delay) => {
      for (const file of ['plain', 'optimized']) {
        await member.killDuring(victim, `lxc import -q ${file} i1`, delay);
        await expectConsistent();
        if (!member.instances().some(({ name }) => name === 'i1')) must(member, `lxc import -q ${file} i1`);
        must(member, 'lxc start i1; lxc exec i1 -- test -s /root/big; lxc restore i1 s0; lxc delete -f i1');
        await expectConsistent();
      }
    });
  });
}
