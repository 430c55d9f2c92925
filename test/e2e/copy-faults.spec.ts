import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/**
 * Kills the daemon or the agent at instants spread over snapshot, restore, copy, refresh, rename, moves to another pool and project, and rebuild. Afterwards each
 * is finished or undone: rows and what is on the disks are the same things, nothing is left over, and what the instance holds is what it held before or after.
 */
const member = new Member();
const delaysMs = [40, 90];

beforeAll(async () => {
  await member.startWith({ driver: 'btrfs' });
  must(member, 'lxc storage create other dir');
  must(member, 'lxc project create pj -c features.images=false -c features.profiles=false');
});
afterAll(async () => expect(await member.destroy()).toEqual([]));

interface Listed {
  readonly name: string;
  readonly project: string;
  readonly snapshots: readonly { readonly name: string }[] | null;
  readonly expanded_devices: Readonly<Record<string, { readonly type: string; readonly path?: string; readonly pool?: string }>>;
}

/** `pool/project_name` of each instance, and `.../snapshot` of each snapshot, as rows have them. */
function rows(): string[] {
  const all = JSON.parse(must(member, "lxc query '/1.0/instances?recursion=2&all-projects=true'")) as Listed[];
  return all.flatMap(({ name, project, snapshots, expanded_devices }) => {
    const pool = Object.values(expanded_devices).find(({ path }) => path === '/')!.pool!;
    const host = `${pool}/${project === 'default' ? '' : `${project}_`}${name}`;
    return [host, ...(snapshots ?? []).map((snapshot) => `${host}/${snapshot.name}`)];
  }).sort();
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The same as it is on the disks, hidden names included. */
function disks(): string[] {
  return ['default', 'other'].flatMap((pool) => {
    const at = (folder: string): string => join(member.dir, 'storage-pools', pool, folder);
    const snapshots = entries(at('containers-snapshots')).flatMap((name) => entries(join(at('containers-snapshots'), name)).map((snapshot) => `${pool}/${name}/${snapshot}`));
    return [...entries(at('containers')).map((name) => `${pool}/${name}`), ...snapshots];
  }).sort();
}

async function expectConsistent(): Promise<void> {
  await eventually(() => ({ rows: rows(), disks: disks(), links: entries(join(member.dir, 'containers')).sort() }),
    (seen) => JSON.stringify(seen.rows) === JSON.stringify(seen.disks) && seen.links.length === seen.rows.filter((row) => row.split('/').length === 2).length, 15_000);
}

const mark = (pool: string, name: string): string => member.run(`cat ${member.dir}/storage-pools/${pool}/containers/${name}/rootfs/root/mark`).stdout.trim();
const write = (text: string): void => { must(member, `echo ${text} >${member.dir}/storage-pools/default/containers/f1/rootfs/root/mark`); };

const has = (row: string): boolean => rows().includes(row);
const copies = `lxc query -X POST -d '{"name":"f2","source":{"type":"copy","source":"f1","refresh":true}}' --wait /1.0/instances`;

for (const victim of ['daemon', 'agent'] as const) {
  for (const delay of delaysMs) {
    describe(`kill -9 of the ${victim}, ${delay} ms into`, { timeout: 180_000 }, () => {
      beforeEach(() => {
        must(member, 'lxc init bb f1 -q');
        write('one');
        must(member, 'lxc snapshot f1 s0');
        write('two');
      });
      afterEach(() => {
        must(member, 'for p in default pj; do for i in $(lxc list -f csv -c n --project $p); do lxc delete -f $i --project $p; done; done');
        expect([rows(), disks()]).toEqual([[], []]);
      });

      it('a snapshot', async () => {
        await member.killDuring(victim, 'lxc snapshot f1 s1', delay);
        await expectConsistent();
      });

      it('a restore', async () => {
        await member.killDuring(victim, 'lxc restore f1 s0', delay);
        await expectConsistent();
        expect(['one', 'two']).toContain(mark('default', 'f1'));
      });

      for (const pool of ['default', 'other']) {
        it(`a copy to pool ${pool}`, async () => {
          await member.killDuring(victim, `lxc copy f1 f2 -s ${pool}`, delay);
          await expectConsistent();
          if (has(`${pool}/f2`)) expect(mark(pool, 'f2')).toBe('two');
        });

        it(`a refresh in pool ${pool}`, async () => {
          must(member, `lxc copy f1 f2 -s ${pool}`);
          write('three');
          must(member, 'lxc snapshot f1 s1');
          must(member, 'lxc delete f1/s0');
          await member.killDuring(victim, copies, delay);
          await expectConsistent();
          const done = has(`${pool}/f2/s1`);
          expect([mark(pool, 'f2'), has(`${pool}/f2/s0`)]).toEqual(done ? ['three', false] : ['two', true]);
        });
      }

      it('a rename', async () => {
        await member.killDuring(victim, 'lxc rename f1 f3', delay);
        await expectConsistent();
        expect(mark('default', has('default/f1') ? 'f1' : 'f3')).toBe('two');
      });

      it('a move to another pool', async () => {
        await member.killDuring(victim, 'lxc move f1 --storage other', delay);
        await expectConsistent();
        expect(mark(has('other/f1') ? 'other' : 'default', 'f1')).toBe('two');
      });

      it('a move to another project', async () => {
        await member.killDuring(victim, 'lxc move f1 --target-project pj', delay);
        await expectConsistent();
        expect(mark('default', has('default/f1') ? 'f1' : 'pj_f1')).toBe('two');
      });

      it('a rebuild', async () => {
        must(member, 'lxc delete f1/s0');
        await member.killDuring(victim, `lxc query -X POST -d '{"source":{"type":"image","alias":"bb"}}' --wait /1.0/instances/f1/rebuild`, delay);
        await expectConsistent();
        expect(['two', '']).toContain(mark('default', 'f1'));
      });
    });
  }
}
