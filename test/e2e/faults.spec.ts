import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/**
 * Kills the daemon or the agent at instants spread over create, start, stop and delete. Afterwards the work is finished or undone, and what is on the
 * host and what is in the database are the same things.
 */
const bridge = 'ftbr-r';
const member = new Member();
const delaysMs = [0, 8, 20, 40, 70, 110];

beforeAll(() => member.startWith({ driver: 'btrfs', bridge }));
afterAll(async () => expect(await member.destroy()).toEqual([]));

/** Rows without a volume, volumes without a row, and what runs without either. */
async function expectConsistent(): Promise<void> {
  await eventually(() => {
    const rows = member.instances();
    const names = rows.map(({ name }) => name).sort();
    const running = rows.filter(({ status }) => status === 'Running').length;
    const remains = member.remains();
    const volumes = remains.filter((path) => path.startsWith('storage-pools/')).map((path) => path.split('/').at(-1)!).sort();
    const cgroups = new Set(remains.filter((path) => path.startsWith('/sys/fs/cgroup')).map((path) => path.split('/').at(-1)!));
    return { names, volumes, running, cgroups: cgroups.size, ports: member.portsOf(bridge).length };
  }, (seen) => JSON.stringify(seen.names) === JSON.stringify(seen.volumes) && seen.cgroups === seen.running && seen.ports === seen.running, 15_000);
}

for (const victim of ['daemon', 'agent'] as const) {
  describe(`kill -9 of the ${victim}`, () => {
    for (const delay of delaysMs) {
      it(`${delay} ms into create, start, stop and delete leaves nothing half done`, async () => {
        await member.killDuring(victim, 'lxc init bb f1', delay);
        await expectConsistent();
        if (member.instances().length === 0) must(member, 'lxc init bb f1');

        await member.killDuring(victim, 'lxc start f1', delay);
        await expectConsistent();
        if (member.instances()[0]!.status !== 'Running') must(member, 'lxc start f1');

        await member.killDuring(victim, 'lxc stop f1 --force', delay);
        await expectConsistent();
        if (member.instances()[0]!.status === 'Running') must(member, 'lxc stop f1 --force');

        await member.killDuring(victim, 'lxc delete f1', delay);
        await expectConsistent();
        if (member.instances().length > 0) must(member, 'lxc delete f1');
        expect(member.remains()).toEqual([]);
      });
    }
  });
}
