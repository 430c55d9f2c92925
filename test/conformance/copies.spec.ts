import { afterAll, beforeAll } from 'vitest';
import { instanceMasks, lines } from '../support/lines.js';
import { must, Pair } from '../support/pair.js';

/** Copies say and do the same on Roost and on real LXD, within pools and between them. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc storage create bt btrfs size=1GiB');
    must(target, 'lxc profile create p1');
    must(target, 'lxc project create pj -c features.images=false -c features.profiles=false');
  }
});
afterAll(() => pair.destroy());

/** A copy and its snapshots. */
const show = (name: string, project = 'default'): string =>
  `lxc query '/1.0/instances/${name}?project=${project}'; lxc query '/1.0/instances/${name}/snapshots?recursion=1&project=${project}'`;

lines(pair, 'copies', `
  lxc init bb c1 -q -c user.mark=one -d root,size=100MiB
  lxc config device add c1 eth9 nic nictype=p2p name=eth9
  lxc snapshot c1 s0
  lxc copy c1 d1
  ${show('d1')}
  lxc copy c1 d2 --instance-only
  ${show('d2')}
  lxc copy c1 d3 --stateless --instance-only -e -c user.x=1 -d root,size=50MiB
  ${show('d3')}
  lxc copy c1 d4 --no-profiles
  ${show('d4')}
  lxc copy d2 d5 --profile p1
  lxc copy c1 d5 --profile default --profile p1 -s bt
  ${show('d5')}
  lxc copy c1/s0 d6 -s bt
  ${show('d6')}
  lxc copy c1 d7 -s nope
  lxc copy c1 c1 --target-project pj
  ${show('c1', 'pj')}
  lxc copy c1 c1 --target-project nope
  lxc copy c1
  lxc copy c1 c1
  lxc copy nope d8
  lxc copy c1/nope d8
  lxc copy c1 d8/s0
  lxc query -X POST -d '{"name":"d9","source":{"type":"copy","source":"c1"}}' --wait /1.0/instances
  lxc query -X POST -d '{"name":"d10","source":{"type":"copy","source":"c1/s0"}}' --wait /1.0/instances
  lxc query -X POST -d '{"name":"d11","source":{"type":"copy"}}' --wait /1.0/instances
  lxc rename d1 e1
  ${show('e1')}
  lxc init bb f1 -q
  lxc snapshot f1
  lxc copy f1 f2 -s bt
  ${show('f2')}
  lxc copy f2 f3 -s default
  ${show('f3')}
  lxc restore f2 snap0
  lxc list -f csv -c nS --all-projects
  lxc delete c1 e1 d2 d3 d4 d5 d6 d9 d10 f1 f2 f3
  lxc delete c1 --project pj
`, instanceMasks);

for (const [from, to] of [['default', 'default'], ['bt', 'bt'], ['default', 'bt'], ['bt', 'default']] as const) {
  lines(pair, `refreshed copies from pool ${from} to ${to}`, `
    lxc init bb c1 -q -s ${from} -c user.mark=one
    lxc start c1 2>/dev/null
    lxc exec c1 -- sh -c 'echo one >/root/f; echo same >/root/same; mkfifo /root/fifo; chown 1000:1000 /root/f; chmod 4755 /root/f'
    lxc snapshot c1 a
    lxc snapshot c1 b
    lxc snapshot c1 c
    lxc copy c1 c2 -s ${to} --refresh
    ${show('c2')}
    lxc config set c2 user.own=mine
    lxc delete c1/a c1/b
    lxc exec c1 -- sh -c 'echo second >/root/f; echo new >/root/new; rm /root/fifo'
    lxc snapshot c1 b
    lxc snapshot c1 d
    lxc exec c1 -- sh -c 'echo three >/root/f'
    lxc query -X POST -d '{"name":"c2","source":{"type":"copy","source":"c1","refresh":true},"config":{"user.new":"x"},"profiles":[],"description":"d"}' --wait /1.0/instances
    ${show('c2')}
    lxc start c2 2>/dev/null
    lxc exec c2 -- sh -c 'cat /root/f /root/same; stat -c "%n %a %u %g %F %h" /root/*'
    lxc exec c1 -- sh -c 'stat -c "%n %a %u %g %F %h" /root/*'
    lxc copy c1 c2 --refresh
    lxc query -X POST -d '{"name":"c2","source":{"type":"copy","source":"c1","refresh":true}}' --wait /1.0/instances
    lxc exec c2 -- sh -c 'echo own >/root/f'
    lxc exec c1 -- cat /root/f
    lxc stop -f c2
    lxc query -X POST -d '{"name":"c2","source":{"type":"copy","source":"c1","refresh":true,"instance_only":true}}' --wait /1.0/instances
    ${show('c2')}
    lxc restore c2 b
    lxc start c2 2>/dev/null
    lxc exec c2 -- cat /root/f
    lxc stop -f c2
    lxc query -X POST -d '{"name":"c2","source":{"type":"copy","source":"nope","refresh":true}}' --wait /1.0/instances
    lxc query -X POST -d '{"name":"c2","source":{"type":"copy","source":"c1/d","refresh":true}}' --wait /1.0/instances
    ${show('c2')}
    lxc copy c1/d c2 --refresh
    lxc copy c1 c2 --refresh --storage nope
    lxc delete -f c1 c2
    lxc list -f csv
  `, instanceMasks);
}

lines(pair, 'the client’s --refresh', `
  lxc init bb c1 -q -c user.mark=one
  lxc snapshot c1 a
  lxc copy c1 c2 --refresh
  lxc config set c2 user.own=mine
  lxc config set c1 user.mark=two
  lxc copy c1 c2 --refresh
  ${show('c2')}
  lxc copy c1 c2 --refresh -c user.z=1 --profile default --profile p1
  ${show('c2')}
  lxc delete c1 c2
`, instanceMasks);

/** LXD makes a copy under a passing name and removes the first: times and ids of cloud-init are new there. */
lines(pair, 'moves to another pool and project', `
  lxc init bb c1 -q -c user.mark=one
  lxc config device add c1 eth9 nic nictype=p2p name=eth9
  lxc snapshot c1 s0
  lxc start c1 2>/dev/null
  lxc exec c1 -- sh -c 'echo one >/root/f'
  lxc stop -f c1
  lxc move c1 --storage bt
  ${show('c1')}
  lxc move c1 c2 --storage default
  ${show('c2')}
  lxc move c2 --target-project pj
  ${show('c2', 'pj')}
  lxc list -f csv -c nsS --all-projects
  lxc move c2 c3 --project pj --target-project default
  ${show('c3')}
  lxc storage volume create bt own; lxc storage volume attach bt own c3 own /own
  lxc move c3 --target-project pj; lxc list -f csv -c n --all-projects
  lxc copy c3 c5 --target-project pj
  lxc move c3 --storage bt && lxc config device get c3 own source && lxc move c3 --storage default
  lxc storage volume detach bt own c3; lxc storage volume delete bt own
  lxc move c3 --storage nope
  lxc move c3 --target-project nope
  lxc move c3 c3
  lxc query -X POST -d '{"migration":true,"pool":"bt","name":"c4","instance_only":true}' --wait /1.0/instances/c3 | grep -v -e progress -e percent -e speed -e stage -e '}' -e 'metadata"'
  ${show('c4')}
  lxc init bb taken -q
  lxc query -X POST -d '{"migration":true,"pool":"default","name":"taken"}' --wait /1.0/instances/c4
  lxc query -X POST -d '{"migration":true,"project":"pj","name":"a/b"}' --wait /1.0/instances/c4
  lxc query -X POST -d '{"migration":true,"project":"pj","name":"a b"}' --wait /1.0/instances/c4
  lxc query -X POST -d '{"project":"pj","pool":"default","name":"c5"}' --wait /1.0/instances/c4
  lxc start c5 2>/dev/null
  lxc query -X POST -d '{"migration":true,"pool":"default"}' --wait /1.0/instances/taken | grep -c '"err": ""'
  lxc query -X POST -d '{"migration":true,"pool":"default","live":false}' --wait /1.0/instances/c5
  lxc query -X POST -d '{"migration":true,"project":"pj","live":false}' --wait /1.0/instances/c5
  lxc exec c5 -- cat /root/f
  lxc delete -f c5 taken
  lxc list -f csv --all-projects
  lxc storage volume list default -f csv -c ctn
`, instanceMasks);
