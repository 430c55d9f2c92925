import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { Target } from '../support/target.js';

/**
 * Starting, stopping, freezing of containers, on Roost and on real LXD: every action in every state, also while another one is under way, where LXD's answer
 * is the same each time.
 */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc init bb c1 -q');
    // An init that is told to stop by a signal it does not know.
    must(target, 'lxc init bb deaf -q -c raw.lxc="lxc.signal.halt=SIGCONT" -c boot.host_shutdown_timeout=1');
    must(target, 'lxc init bb slow -q -c raw.lxc="lxc.hook.pre-start=/bin/sleep 2"');
  }
});
afterAll(() => pair.destroy());

const shell = `
ask() { curl -gs --max-time 40 --unix-socket "$LXD_DIR/unix.socket" -X "$@"; }
act() { operation=$(ask PUT "x/1.0/instances/$1/state" -d "{\\"action\\":\\"$2\\"$3}" | sed -n 's/.*"operation":"\\([^"]*\\)".*/\\1/p')
  ask GET "x$operation/wait" | python3 -c 'import json,sys; o=json.load(sys.stdin)["metadata"]; print(o["status_code"], o["description"], o["err"])'; }
power() { lxc list "^$1$" -f csv -c s; }
tell() { act "$@"; power $1; }
to() { case $2 in running) lxc start $1;; stopped) lxc stop -f $1;; frozen) lxc start $1; lxc pause $1;; esac 2>/dev/null >&2; }
first() { act "$@" >first.out & sleep 1; }
listed() { ask GET x/1.0/instances/$1/logs | sed -E 's/exec_[0-9a-f-]+/exec_X/g'; }
both() { wait; sed 's/^/first: /' first.out; power $1; }
`;

const options: CompareOptions = { normalise: (text) => text.replaceAll(/^Remapping container filesystem */gm, '').replaceAll(/^Try `lxc info --show-log .*\n?/gm, '').replaceAll(/^ +/gm, '').trim() };

const lines = `
  for a in stop restart freeze unfreeze banana '' Start; do act c1 "$a"; act c1 "$a" ',"force":true'; done; tell c1 start ',"stateful":true'
  to c1 running; for a in start unfreeze banana; do act c1 $a; done; tell c1 freeze; for a in start freeze restart; do act c1 $a ',"timeout":5'; done; tell c1 unfreeze
  to c1 frozen; tell c1 restart ',"force":true'; to c1 frozen; tell c1 stop ',"timeout":20'; to c1 frozen; tell c1 stop ',"force":true'
  to deaf running; tell deaf stop ',"timeout":1'; tell deaf restart ',"timeout":1'; lxc stop deaf --timeout 1; lxc restart deaf --timeout 1; tell deaf restart ',"timeout":0'; tell deaf stop ',"timeout":0'
  to deaf running; first deaf stop ',"timeout":-1'; tell deaf start; tell deaf freeze; tell deaf unfreeze; ask PATCH x/1.0/instances/deaf -d '{"config":{"user.a":"b"}}' | grep -o '"error":"[^"]*"'; lxc rename deaf other; lxc delete deaf; act deaf stop ',"force":true'; both deaf; act deaf stop
  to deaf running; first deaf stop ',"timeout":-1'; act deaf restart ',"force":true'; both deaf
  to deaf running; first deaf restart ',"timeout":-1'; act deaf restart ',"force":true'; both deaf; to deaf stopped
  to slow stopped; first slow start; for a in start restart unfreeze; do act slow $a >$a.out & done; both slow; cat start.out restart.out unfreeze.out; to slow stopped
`.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** Consoles; what they show while they run is the clients' (client.spec.ts), and what is kept differs on purpose. */
const consoles = `
  lxc init bb k1 -q; for m in GET DELETE; do ask $m x/1.0/instances/k1/console | grep -o '"error":"[^"]*"'; done; ask POST x/1.0/instances/k1/console -d '{}'; lxc console k1 --show-log
  for t in vga banana console; do ask POST x/1.0/instances/k1/console -d "{\\"type\\":\\"$t\\"}"; done; ask POST x/1.0/instances/k1/console -d ''; ask GET x/1.0/instances/none/console
  lxc start k1; lxc pause k1; ask POST x/1.0/instances/k1/console -d '{}'; ask DELETE x/1.0/instances/k1/console; lxc start k1
  ask DELETE x/1.0/instances/k1/console; ask DELETE x/1.0/instances/k1/console; lxc exec k1 -- sh -c 'echo mark >/dev/console'; sleep 1; lxc stop -f k1; lxc console k1 --show-log | grep -c mark
  ask DELETE x/1.0/instances/k1/console; lxc console k1 --show-log; ask DELETE x/1.0/instances/k1/console; lxc delete k1
`.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** What takes CRIU, where it is not: with it, what it says depends on it and on the kernel (test/e2e/checkpoints.spec.ts). */
const stateful = `
  lxc init bb t1 -q; lxc stop t1 --stateful; lxc snapshot t1 s0 --stateful; lxc start t1; lxc stop t1 --stateful; lxc snapshot t1 s0 --stateful; lxc move t1 t1 -s default; lxc list -f csv -c nsS t1
  lxc pause t1; lxc stop t1 --stateful; lxc start t1; lxc stop -f t1; act t1 start ',"stateful":true'; lxc start t1 --stateless; lxc delete -f t1
`.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** Files of logs: which are shown, which may be deleted, and names that are none. */
const logs = `
  lxc init bb l1 -q; ask GET x/1.0/instances/l1/logs; ask GET x/1.0/containers/l1/logs; lxc info l1 --show-log | tail -3
  lxc start l1; for i in 1 2; do ask POST x/1.0/instances/l1/exec -d '{"command":["echo","out"],"record-output":true,"wait-for-websocket":false}' >/dev/null; done; sleep 1; listed l1
  f=$(ask GET x/1.0/instances/l1/logs | grep -o 'exec_[0-9a-f-]*.stdout' | head -1); for m in GET DELETE DELETE; do ask $m x/1.0/instances/l1/logs/$f | sed -E 's,[^ ]*/exec_[0-9a-f-]+,exec_X,'; done
  for f in lxc.log lxc.conf lxc.log.old console.log proxy.x.log forkexec.log edk2.log qemu.log qemu.conf migration_x snapshot_x .. . '' '..%2f..%2fserver.key' 'snapshot_%2f..%2f..%2f..%2fserver.key' 'exec_%2f..%2flxc.log' migration_/x snapshot_.. lxc.log/; do for m in GET DELETE; do echo $m $f; ask $m "x/1.0/instances/l1/logs/$f" | head -1 | grep -aoE '"error":"[^"]*"|^lxc.log.file'; done; done
  for f in migration_dump_1.log snapshot_dump_1.log snapshotx lxc.log.1; do echo hello >$LXD_DIR/logs/l1/$f; done; listed l1; ask GET x/1.0/instances/l1/logs/snapshot_dump_1.log; ask DELETE x/1.0/instances/l1/logs/snapshot_dump_1.log; listed l1
  lxc restart -f l1; listed l1; lxc stop -f l1; listed l1; lxc info l1 --show-log | grep '^Log:'
  lxc copy l1 l2 -q; listed l2; lxc delete l1; lxc delete l2; ask GET x/1.0/instances/l1/logs
`.split('\n').map((line) => line.trim()).filter((line) => line !== '');

describe.skipIf(Target.whyNotBoth() !== '')('power', () => {
  for (const line of lines) it(line, () => { same(pair.roost, pair.lxd, `${shell}\n${line}`, options); });

  for (const line of existsSync('/usr/sbin/criu') ? [] : stateful) it(line, () => { same(pair.roost, pair.lxd, `${shell}\n${line}`, options); });

  for (const line of consoles) it(line, () => { same(pair.roost, pair.lxd, `${shell}\n${line}`, options); });

  for (const line of logs) it(line, () => { same(pair.roost, pair.lxd, `${shell}\n${line}`, options); });

  it('goes down and comes up with the daemon in the order asked for', async () => {
    for (const target of pair.both) {
      must(target, 'lxc stop --all --force; true');
      for (const [name, order] of [['a', 1], ['b', 3], ['c', 2]] as const) {
        must(target, `lxc init bb ${name} -q -c boot.host_shutdown_timeout=1 -c boot.autostart.priority=${order} -c boot.stop.priority=${order} && lxc start ${name} 2>/dev/null`);
      }
      must(target, 'lxc init bb never -q -c boot.host_shutdown_timeout=1 -c boot.autostart=false && lxc start never 2>/dev/null; lxc init bb always -q -c boot.host_shutdown_timeout=1 -c boot.autostart=true');

      expect(target.daemon(['shutdown', '--timeout=60']).code).toBe(0);
      await target.stop();
      await target.start();
    }

    const up = 'for try in $(seq 60); do [ "$(lxc list -f csv -c ns | grep -cE "^(a|b|c|always),RUNNING")" = 4 ] && break; sleep 0.5; done';
    same(pair.roost, pair.lxd, `${up}; lxc list -f csv -c ns; lxc query "/1.0/instances?recursion=1" | python3 -c 'import json,sys; print([i["name"] for i in sorted((i for i in json.load(sys.stdin) if i["name"] in "abc"), key=lambda i: i["last_used_at"])])'`, options);
  });
});
