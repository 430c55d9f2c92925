import { afterAll, beforeAll, expect, it } from 'vitest';
import { same } from '../support/compare.js';
import { instanceMasks, lines } from '../support/lines.js';
import { must, Pair } from '../support/pair.js';

/** Snapshots say and do the same on Roost and on real LXD, command by command, on plain directories and on btrfs. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) must(target, 'lxc storage create bt btrfs size=1GiB');
});
afterAll(() => pair.destroy());

for (const pool of ['default', 'bt']) {
  lines(pair, `snapshots in pool ${pool}`, `
    lxc init bb c1 -q -s ${pool} -c user.mark=one
    lxc query /1.0/instances/c1/snapshots
    lxc snapshot c1
    lxc snapshot c1 foo
    lxc snapshot c1 foo
    lxc snapshot c1 bar --no-expiry
    lxc snapshot c1 bar --reuse
    lxc snapshot c1 'a b'
    lxc snapshot c1 'a?b'
    lxc snapshot c1 st --stateful
    lxc snapshot nope
    lxc info c1
    lxc list -f csv
    lxc query /1.0/instances/c1/snapshots
    lxc query '/1.0/instances/c1/snapshots?recursion=1'
    lxc query '/1.0/instances/c1?recursion=1'
    lxc query /1.0/instances/c1/snapshots/foo
    lxc query /1.0/instances/c1/snapshots/nope
    lxc query /1.0/containers/c1/snapshots
    lxc config show c1/foo
    lxc query -X PUT -d '{"expires_at":"2035-01-01T00:00:00Z"}' --wait /1.0/instances/c1/snapshots/foo
    lxc query -X PATCH -d '{}' --wait /1.0/instances/c1/snapshots/foo
    lxc query /1.0/instances/c1/snapshots/foo
    lxc query -X PUT -d '{"expires_at":"soon"}' /1.0/instances/c1/snapshots/foo
    lxc query -X POST -d '{"name":"x","expires_at":"2036-01-01T00:00:00Z"}' --wait /1.0/instances/c1/snapshots
    lxc query /1.0/instances/c1/snapshots/x
    lxc rename c1/foo c1/foo2
    lxc rename c1/foo2 c1/bar
    lxc rename c1/foo2 c2/bar
    lxc move c1/foo2 c1/foo
    lxc query -X POST -d '{"name":"a b"}' --wait /1.0/instances/c1/snapshots/foo
    lxc query -X POST -d '{"name":"a/b"}' /1.0/instances/c1/snapshots/foo
    lxc query -X POST -d '{}' /1.0/instances/c1/snapshots/foo
    lxc config set c1 user.mark=two
    lxc config set c1 snapshots.pattern=p%d
    lxc snapshot c1
    lxc config set c1 snapshots.pattern=fix
    lxc snapshot c1
    lxc snapshot c1
    lxc config unset c1 snapshots.pattern
    lxc query /1.0/instances/c1/snapshots
    lxc restore c1 nope
    lxc restore nope foo
    lxc restore c1 foo --stateful
    lxc restore c1 foo
    lxc config get c1 user.mark
    lxc config show c1
    lxc query /1.0/instances/c1/snapshots
    lxc rename c1 c2
    lxc query /1.0/instances/c2/snapshots
    lxc query /1.0/instances/c2/snapshots/foo
    lxc delete c2/p0
    lxc delete c2/p0
    lxc query -X DELETE --wait /1.0/instances/c2/snapshots/x
    lxc query /1.0/instances/c2/snapshots
    lxc info c2
    lxc delete c2
  `, instanceMasks);

  lines(pair, `a running instance in pool ${pool}`, `
    lxc launch bb r1 -q -s ${pool} 2>/dev/null
    lxc exec r1 -- sh -c 'echo one >/root/mark; ln -s nowhere /root/link; mkfifo /root/fifo; chown 1000:1000 /root/mark; chmod 4755 /root/mark'
    lxc snapshot r1 s0
    lxc exec r1 -- sh -c 'echo two >/root/mark; rm /root/link; echo new >/root/new'
    lxc list -f csv -c nsS
    lxc restore r1 s0
    lxc list -f csv -c nsS
    lxc exec r1 -- sh -c 'cat /root/mark; stat -c "%n %a %u %g %F" /root/*'
    lxc exec r1 -- sh -c 'echo three >/root/mark'
    lxc stop -f r1
    lxc restore r1 s0
    lxc list -f csv -c nsS
    lxc start r1 2>/dev/null
    lxc exec r1 -- cat /root/mark
    lxc delete -f r1
    lxc list -f csv
  `, instanceMasks);
}

lines(pair, 'what a schedule may be', `
  lxc init bb s1 -q
  lxc config set s1 snapshots.schedule='@hourly'
  lxc config set s1 snapshots.schedule='@daily, @startup'
  lxc config set s1 snapshots.schedule='@daily,@startup'
  lxc config set s1 snapshots.schedule='@foo'
  lxc config set s1 snapshots.schedule='@never'
  lxc config set s1 snapshots.schedule='@every 1h'
  lxc config set s1 snapshots.schedule='* * * * *'
  lxc config set s1 snapshots.schedule='0 6 * * *, 0 7 * * *'
  lxc config set s1 snapshots.schedule='0 6 * * *,0 7 * * *'
  lxc config set s1 snapshots.schedule='1,2 * * * 1,2'
  lxc config set s1 snapshots.schedule='60 * * * *'
  lxc config set s1 snapshots.schedule='* * * *'
  lxc config set s1 snapshots.schedule='a * * * *'
  lxc config set s1 snapshots.schedule='* * * jan sun'
  lxc config set s1 snapshots.schedule='*/5 1-3 * * 7'
  lxc config set s1 snapshots.schedule='*/0 * * * *'
  lxc config set s1 snapshots.schedule='5-1 * * * *'
  lxc config set s1 snapshots.schedule='TZ=Asia/Tokyo 0 6 * * *'
  lxc config set s1 snapshots.schedule='@daily,0 6 * * *'
  lxc config set s1 snapshots.schedule='0 6 * * *,@daily'
  lxc config set s1 snapshots.schedule=',@daily'
  lxc config set s1 snapshots.schedule.stopped=maybe
  lxc config set s1 snapshots.expiry=x
  lxc config get s1 snapshots.schedule
  lxc delete s1
`, instanceMasks);

it('takes snapshots by schedule, on both', { timeout: 120_000 }, async () => {
  for (const target of pair.both) {
    must(target, 'lxc init bb s1 -q -c snapshots.schedule="* * * * *" -c snapshots.schedule.stopped=true -c snapshots.expiry=1d -c snapshots.pattern=auto%d');
    must(target, 'lxc init bb s2 -q -c snapshots.schedule="* * * * *"');
    must(target, 'lxc init bb s3 -q -c snapshots.schedule="@startup"; lxc start s3 2>/dev/null');
  }
  await expect.poll(() => pair.both.map((target) => must(target, 'lxc query /1.0/instances/s1/snapshots').includes('/s1/snapshots/auto0')), { timeout: 100_000, interval: 1000 }).toEqual([true, true]);
  for (const name of ['s2', 's3']) same(pair.roost, pair.lxd, `lxc query /1.0/instances/${name}/snapshots`);
  same(pair.roost, pair.lxd, 'lxc query /1.0/instances/s1/snapshots/auto0', instanceMasks);
  same(pair.roost, pair.lxd, 'lxc delete -f s1 s2 s3');
});

lines(pair, 'what snapshots take', `
  lxc init bb q1 -q -s bt; lxc config device set q1 root size=50MiB; lxc snapshot q1 s0; lxc init bb q2 -q -s default; lxc snapshot q2 s0; sync
  lxc query /1.0/instances/q1/snapshots/s0 | jq '.size > 0'
  lxc query '/1.0/instances/q1/snapshots?recursion=1' | jq '[.[] | .size > 0]'
  lxc query '/1.0/instances/q1?recursion=1' | jq '[.snapshots[].size]'
  lxc query '/1.0/instances/q2/snapshots?recursion=1' | jq '[.[].size]'
  lxc copy q1 q3; sync; lxc query /1.0/instances/q3/snapshots/s0 | jq '.size > 0'
  lxc delete q1 q2 q3
`, instanceMasks);
