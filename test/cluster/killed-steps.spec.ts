import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import type { ClusterMember } from '../support/cluster-member.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import type { CommandResult, TargetKind } from '../support/target.js';
import { flaws } from '../support/whole-instance.js';

/** Instants per victim, spread evenly over the time the undisturbed action takes; KILL_INSTANTS raises it by hand. */
const instants = Number(process.env['KILL_INSTANTS'] ?? 3);
const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;
const file = 'root/marks';
const marks = 'every byte of it\n'.repeat(4000);

describe.skipIf(unmet('members killed in the middle of work', Cluster.whyNot()))('whoever is killed in the middle of', () => {
  const cluster = new Cluster({ kind, members: 3, block: '127.37.3' });
  let serial = 0;
  beforeAll(async () => {
    await cluster.form();
    cluster.importImage();
    await cluster.settled();
  });
  afterEach(() => { cluster.member(1).run('lxc cluster restore m3 --force; for i in $(lxc list -f csv -c n); do lxc delete -f $i; done'); });
  afterAll(async () => { await cluster.destroy(); });

  /** A stopped instance with known content and a snapshot. */
  const instance = (on: ClusterMember): string => {
    const name = `k${serial++}`;
    must(cluster.member(1), `lxc launch bb ${name} --target ${on.name}`);
    must(cluster.member(1), `yes 'every byte of it' | head -n 4000 | lxc exec ${name} -- sh -c 'cat >/${file}' && lxc stop ${name} --force && lxc snapshot ${name} s1`);
    return name;
  };

  /** Runs `line` on member 1, kills `victim` after `afterMs`, brings it back and waits until everybody is Online. */
  const disturbed = async (line: string, victim: ClusterMember, afterMs: number): Promise<CommandResult> => {
    const asked = victim === cluster.member(1) ? cluster.member(2) : cluster.member(1);
    const running = asked.runBeside(line, 30_000);
    await new Promise((done) => setTimeout(done, afterMs));
    await victim.crash();
    await victim.start();
    const result = await running;
    for (const member of cluster.members) await cluster.settled(member);
    return result;
  };

  const spread = (durationMs: number): number[] => Array.from({ length: instants }, (_, index) => Math.round(durationMs * (index + 0.5) / instants));

  const timed = (line: string): number => {
    const start = performance.now();
    must(cluster.member(1), line);
    return performance.now() - start;
  };

  const quiet = async (): Promise<void> => {
    // Tokens are operations that run until they are used or expire.
    await eventually(() => cluster.member(1).lxc('operation', 'list', '--format', 'csv').stdout, (text) => !/^[^,]*,(?!TOKEN).*(RUNNING|PENDING)/m.test(text), 40_000);
  };

  const wholeOnOne = async (name: string, context: string): Promise<void> => {
    await quiet();
    for (const member of cluster.members) {
      const found = await eventually(() => flaws(cluster, name, member, file, marks), (wrong) => wrong.length === 0, 20_000).catch((error: Error) => [error.message]);
      expect(found, context).toEqual([]);
    }
    must(cluster.member(2), `lxc start ${name} && lxc exec ${name} -- true && lxc delete -f ${name}`);
  };

  it.each([['source', 2], ['target', 3], ['member that was asked', 1]])('a move: the %s', { timeout: 400_000 }, async (_who, victim) => {
    const probe = instance(cluster.member(2));
    const duration = timed(`lxc move ${probe} --target m3`);
    must(cluster.member(1), `lxc delete -f ${probe}`);

    for (const afterMs of spread(duration)) {
      const name = instance(cluster.member(2));
      const result = await disturbed(`lxc move ${name} --target m3`, cluster.member(victim), afterMs);
      await wholeOnOne(name, `killed after ${afterMs} of ${duration.toFixed(0)} ms; ${JSON.stringify(result)}`);
    }
  });

  it.each([['the evacuated member', 3], ['another member', 1]])('an evacuation: %s', { timeout: 400_000 }, async (_who, victim) => {
    const probe = instance(cluster.member(3));
    const duration = timed('lxc cluster evacuate m3 --force');
    must(cluster.member(1), `lxc cluster restore m3 --force && lxc delete -f ${probe}`);

    for (const afterMs of spread(duration)) {
      const name = instance(cluster.member(3));
      const result = await disturbed('lxc cluster evacuate m3 --force', cluster.member(victim), afterMs);
      await quiet();
      cluster.member(1).run('lxc cluster restore m3 --force');
      await wholeOnOne(name, `killed after ${afterMs} of ${duration.toFixed(0)} ms; ${JSON.stringify(result)}`);
    }
  });

  describe('a change of membership', () => {
    let fourth: ClusterMember;
    beforeAll(async () => { fourth = await cluster.add(); });

    const membersKnownBy = (member: ClusterMember): string[] | 'alone' => {
      const listed = member.run('lxc cluster list -f csv');
      if (listed.code !== 0) return 'alone';
      return listed.stdout.trim().split('\n').map((line) => line.split(',')[0]!).sort();
    };

    /** Both sides agree on whether m4 belongs to the cluster; returns which. */
    const agreed = async (context: string): Promise<boolean> => {
      const state = (): string => JSON.stringify(cluster.members.map(membersKnownBy));
      const inside = JSON.stringify(Array.from({ length: 4 }, () => ['m1', 'm2', 'm3', 'm4']));
      const outside = JSON.stringify([...Array.from({ length: 3 }, () => ['m1', 'm2', 'm3']), 'alone']);
      const last = await eventually(state, (now) => now === inside || now === outside, 40_000).catch((error: Error) => error.message);
      expect([inside, outside], context).toContain(last);
      if (last === inside) for (const member of cluster.members) await cluster.settled(member);
      return last === inside;
    };

    it.each([['the joiner', 4], ['the member it joins by', 1]])('a join and a removal: %s', { timeout: 400_000 }, async (_who, index) => {
      const victim = cluster.member(index);
      const from = cluster.member(2);
      let started = performance.now();
      cluster.join(fourth, cluster.member(1));
      const joining = performance.now() - started;
      await cluster.settled();
      started = performance.now();
      must(from, 'lxc cluster remove m4');
      const removing = performance.now() - started;
      expect(await agreed('undisturbed')).toBe(false);

      for (const share of Array.from({ length: instants }, (_, at) => (at + 0.5) / instants)) {
        const token = cluster.token('m4', cluster.member(1));
        const join = fourth.runBeside(`lxd init --preseed <<'END'\n${cluster.joinPreseed(fourth, token)}END`, 30_000);
        await new Promise((done) => setTimeout(done, share * joining));
        await victim.crash();
        await victim.start();
        const joined = await join;
        const context = `killed after ${(share * joining).toFixed(0)} of ${joining.toFixed(0)} ms of joining; ${JSON.stringify(joined)}`;
        if (!(await agreed(context))) cluster.join(fourth, from);
        expect(await agreed(context), context).toBe(true);

        const removed = await (async () => {
          const running = from.runBeside('lxc cluster remove m4', 30_000);
          await new Promise((done) => setTimeout(done, share * removing));
          await victim.crash();
          await victim.start();
          return running;
        })();
        const after = `killed after ${(share * removing).toFixed(0)} of ${removing.toFixed(0)} ms of removing; ${JSON.stringify(removed)}`;
        if (await agreed(after)) must(from, 'lxc cluster remove m4');
        expect(await agreed(after), after).toBe(false);
        expect(must(from, 'lxc storage show default')).toContain('m1');
      }
    });
  });
});
