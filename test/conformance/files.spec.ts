import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { Target } from '../support/target.js';

/** Files inside containers: the same requests, and the same `lxc file` commands, on Roost and on real LXD, in containers that run, are stopped or frozen, privileged or not. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc init bb stopped -q');
    must(target, 'lxc launch bb running -q');
    must(target, 'lxc launch bb frozen -q');
    must(target, 'lxc launch bb privileged -q -c security.privileged=true');
    must(target, 'lxc pause frozen');
  }
});
afterAll(() => pair.destroy());

/** `ask METHOD PATH [curl options]`: status, headers that speak of the file, body. */
const shell = `
ask() { method=$1 path=$2; shift 2; [ $method = HEAD ] && set -- -I "$@"
  curl -gsi --max-time 10 --unix-socket "$LXD_DIR/unix.socket" -X "$method" -H 'Content-Type: application/octet-stream' "$@" "http://x/1.0/instances/$c/$path" |
    tr -d '\\r' | sed 's/^[A-Za-z-]*:/\\L&/; s/Requested Range/Range/' | grep -aviE '^(date|content-length|last-modified|x-content-type|connection|keep-alive|transfer-encoding|content-type: application/)' | sort; }
`;

const options: CompareOptions = {
  normalise: (text) => text.replaceAll(/\(\d+(\.\d+)?[kMG]?B\/s\)/g, '(<speed>)').replaceAll(/"metadata":\[([^\]]*)\]/g, (_, names: string) => `"metadata":[${names.split(',').sort().join(',')}]`),
};

function check(container: string, line: string): void {
  it(line, () => { same(pair.roost, pair.lxd, `${shell}\nc=${container}\n${line.replaceAll('$c', container)}`, options); });
}

const requests = `
  ask GET files
  ask GET 'files?path='
  ask GET 'files?path=/etc'
  ask GET 'files?path=/'
  ask GET 'files?path=/etc/passwd'
  ask GET 'files?path=etc/passwd'
  ask HEAD 'files?path=/etc/passwd'
  ask HEAD 'files?path=/etc'
  ask HEAD 'files?path=/nope'
  ask GET 'files?path=/nope'
  ask GET 'files?path=/etc/passwd/'
  ask GET 'files?path=/etc/passwd/x'
  ask GET 'files?path=/var/run/../etc/group'
  ask GET 'files?path=/root/../../../../etc/group'
  ask GET 'files?path=/etc/passwd' -r 2-5
  ask GET 'files?path=/etc/passwd' -r 100-
  ask GET 'files?path=/etc/passwd' -H 'If-Modified-Since: Thu, 07 May 2037 20:33:45 GMT'
  ask POST 'files?path=/root/a' -d hello
  ask GET 'files?path=/root/a'
  ask POST 'files?path=/root/b' -d hello -H 'X-LXD-uid: 1000' -H 'X-LXD-gid: 1001' -H 'X-LXD-mode: 0640'
  ask GET 'files?path=/root/b'
  ask POST 'files?path=/root/b' -d shorter -H 'X-LXD-uid: 2000' -H 'X-LXD-mode: 0777'
  ask GET 'files?path=/root/b'
  ask POST 'files?path=/root/b' -d more -H 'X-LXD-write: append' -H 'X-LXD-uid: 3'
  ask GET 'files?path=/root/b'
  ask POST 'files?path=/root/none' -d more -H 'X-LXD-write: append'
  ask POST 'files?path=/root/b' -d more -H 'X-LXD-write: sideways'
  ask POST 'files?path=/root/b' -d more -H 'X-LXD-type: sideways'
  ask POST 'files?path=/root/m1' -d x -H 'X-LXD-mode: 4755'
  ask HEAD 'files?path=/root/m1'
  ask POST 'files?path=/root/m2' -d x -H 'X-LXD-mode: 04755'
  ask HEAD 'files?path=/root/m2'
  ask POST 'files?path=/root/m3' -d x -H 'X-LXD-mode: abc' -H 'X-LXD-uid: abc' -H 'X-LXD-gid: -1'
  ask HEAD 'files?path=/root/m3'
  ask POST 'files?path=/root/d' -H 'X-LXD-type: directory'
  ask POST 'files?path=/root/d' -H 'X-LXD-type: directory'
  ask HEAD 'files?path=/root/d'
  ask POST 'files?path=/root/a' -H 'X-LXD-type: directory' -H 'X-LXD-mode: 0777'
  ask HEAD 'files?path=/root/a'
  ask POST 'files?path=/root/x/y/z' -H 'X-LXD-type: directory'
  ask POST 'files?path=/root/d2' -H 'X-LXD-type: directory' -H 'X-LXD-mode: 0700' -H 'X-LXD-uid: 5' -H 'X-LXD-gid: 6'
  ask GET 'files?path=/root/d2'
  ask POST 'files?path=/root/l' -d /etc/passwd -H 'X-LXD-type: symlink'
  ask POST 'files?path=/root/l' -d /etc/group -H 'X-LXD-type: symlink'
  ask GET 'files?path=/root/l'
  ask HEAD 'files?path=/root/l'
  ask POST 'files?path=/root/l2' -H 'X-LXD-type: symlink'
  ask POST 'files?path=/nope/l2' -d /x -H 'X-LXD-type: symlink'
  ask POST 'files?path=/root/loop' -d /root/loop -H 'X-LXD-type: symlink'
  ask POST 'files?path=/root/loop' -d x
  ask POST 'files?path=/root/dangling' -d /root/made -H 'X-LXD-type: symlink'
  ask POST 'files?path=/root/dangling' -d through
  ask GET 'files?path=/root/made'
  ask POST 'files?path=/nope/x' -d x
  ask POST 'files?path=/etc' -d x
  ask POST 'files?path=/root/m2/' -d x
  ask POST 'files?path=/root/new/' -d x
  ask POST 'files?path=.' -d x
  ask GET 'files?path=/root/a%00b'
  ask POST 'files?path=/root/a%00b' -d x
  ask GET 'files?path=/root/a%22%0a%c3%a9'
  ask GET "files?path=/$(printf 'n%.0s' $(seq 300))"
  ask POST "files?path=/$(printf 'n%.0s' $(seq 300))" -d x
  ask DELETE 'files'
  ask DELETE 'files?path=/nope'
  ask DELETE 'files?path=/root/d'
  ask POST 'files?path=/root/d2/f' -d x
  ask DELETE 'files?path=/root/d2'
  ask DELETE 'files?path=/root/d2/f'
  ask DELETE 'files?path=/root/d2'
  ask DELETE 'files?path=/root/l'
  ask DELETE 'files?path=/'
  ask GET 'files?path=/root'
  ask PUT 'files?path=/root/a'
  ask GET 'files/etc?path=/x'
  ask GET 'files?path=/x&project=nope'
  ask GET sftp
  ask GET sftp -H 'Upgrade: foo' -H 'Connection: Upgrade'
`;

const commands = `
  echo one >f; lxc file push f $c/root/one; lxc file pull $c/root/one -
  lxc file push f $c/root/; lxc file pull $c/root/f g && cat g
  echo from stdin | lxc file push - $c/root/two --uid=7 --gid=8 --mode=0600; lxc file pull $c/root/two -; ask HEAD 'files?path=/root/two'
  lxc file push f $c/new/deep/one -p --uid=3; ask HEAD 'files?path=/new/deep'; ask HEAD 'files?path=/new/deep/one'
  lxc file push f $c/absent/one
  mkdir -p tree/sub/empty; echo a >tree/a; echo b >tree/sub/b; chmod 700 tree/sub; ln -sfn /etc/passwd tree/link; lxc file push -r tree $c/root/; ask GET 'files?path=/root/tree'; ask HEAD 'files?path=/root/tree/sub'
  rm -rf back; lxc file pull -r $c/root/tree back; (cd back && find . -printf '%P %y %m %l\\n' | sort)
  lxc file push -r tree $c/root/deep/tree -p; ask GET 'files?path=/root/deep/tree/sub'
  lxc file pull $c/root/tree .
  lxc file pull $c/root/none .
  lxc file pull $c/root .
  EDITOR='sed -i s/one/changed/' lxc file edit $c/root/one </dev/null; lxc file pull $c/root/one -
  lxc file delete $c/root/one $c/root/two
  lxc file delete $c/root/one
  lxc file delete $c/root/tree
  head -c 3000000 /dev/zero | tr '\\0' x >big; lxc file push big $c/root/big -q; lxc file pull $c/root/big - | sha256sum
  lxc file push f nosuch/root/f
  lxc file pull nosuch/root/f -
`;

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

describe.skipIf(Target.whyNotBoth() !== '')('files', () => {
  for (const container of ['stopped', 'running']) {
    describe(`of a ${container} container, by request`, () => { for (const line of lines(requests)) check(container, line); });
  }
  for (const container of ['frozen', 'privileged', 'stopped']) {
    describe(`of a ${container} container, by lxc file`, () => { for (const line of lines(commands)) check(container, line); });
  }

  it('are those that a running container sees: its own mounts, and its ids', () => {
    for (const target of pair.both) must(target, 'lxc exec running -- sh -c "mount -t tmpfs none /tmp && echo inside >/tmp/seen && chown 12:13 /tmp/seen"');
    const { stdout } = same(pair.roost, pair.lxd, `${shell} c=running; ask GET 'files?path=/tmp/seen'; ask POST 'files?path=/tmp/y' -d x -H 'X-LXD-uid: 99999999'`, options);
    expect(stdout).toContain('inside');
  });

  it('tell in events what was done', () => {
    same(pair.roost, pair.lxd, `${shell} c=stopped; lxc monitor --type=lifecycle --format=json >log & sleep 1
      ask POST 'files?path=/root/e' -d x >/dev/null; ask GET 'files?path=/root/e' >/dev/null; ask HEAD 'files?path=/root/e' >/dev/null; ask GET 'files?path=/root' >/dev/null
      ask POST 'files?path=/root/ed' -H 'X-LXD-type: directory' >/dev/null; ask POST 'files?path=/root/el' -d /x -H 'X-LXD-type: symlink' >/dev/null
      ask DELETE 'files?path=/root/e' >/dev/null; ask GET 'files?path=/nope' >/dev/null; sleep 1; kill %1; sed 's/"timestamp":"[^"]*"//; s/"location":"[^"]*",*//' log`, options);
  });
});
