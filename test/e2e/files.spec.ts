import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Target } from '../support/target.js';

/** The files of real containers: whole trees through sshfs, and what an attacker inside can do to those who push and pull. */
const target = new Target('roost');
const skip = Target.whyNotBoth();
/** Everything that must not be reached from inside lies here. */
const outside = join(target.root, 'outside');

beforeAll(async () => {
  if (skip !== '') return;
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'the host’s secret\n');
  await target.start();
  for (const line of [
    'lxc storage create default dir', 'lxc profile device add default root disk path=/ pool=default',
    `sh -c "'${join(import.meta.dirname, '../../deploy/busybox-image')}' >bb.tar.gz"`, 'lxc image import bb.tar.gz --alias bb',
    'lxc init bb stopped -q', 'lxc launch bb victim -q', 'lxc launch bb root -q -c security.privileged=true',
  ]) must(line);
});
afterAll(async () => {
  if (skip === '') expect(await target.destroy()).toEqual([]);
});

function must(line: string): string {
  const result = target.run(line);
  if (result.code !== 0) throw new Error(`${line}: ${result.stderr}${result.stdout}`);
  return result.stdout;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: http.IncomingHttpHeaders;
}

async function ask(method: string, instance: string, path: string | Buffer, body = '', headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  const escaped = [...Buffer.from(path)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { socketPath: join(target.dir, 'unix.socket'), method, path: `/1.0/instances/${instance}/files?path=${escaped}`, headers, timeout: 5000 };
  const request = http.request(options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8'), headers: response.headers }));
  });
  request.on('timeout', () => request.destroy(new Error(`${method} ${String(path)} hangs`)));
  request.on('error', reject);
  request.end(body);
  return promise;
}

const inside = (instance: string, script: string): string => must(`lxc exec ${instance} -- sh -c '${script}'`);
const serversOf = (): number[] => spawnSync('pgrep', ['-f', `roost-files .*`], { encoding: 'utf8' }).stdout.split('\n').map(Number).filter((pid) => pid > 0 && ownedByUs(pid));

function ownedByUs(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const state = readFileSync(join(target.dir, 'state-id'), 'utf8').trim();
    // A connection has a process of its own below the server.
    const parent = readFileSync(`/proc/${/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]}/cmdline`, 'utf8');
    return words[0]!.endsWith('/roost-files') && words[1]!.includes(state) && !parent.includes('/roost-files');
  } catch {
    return false;
  }
}

describe.skipIf(skip !== '')('sshfs on a container', () => {
  it.each(['stopped', 'victim'])('shows the files of %s as a file system', (name) => {
    const script = `mkdir -p mnt; lxc file mount ${name}/root mnt >mount.log 2>&1 & mount=$!
      for i in $(seq 50); do grep -q Press mount.log && mountpoint -q mnt && break; sleep 0.1; done; mountpoint -q mnt || { cat mount.log; exit 1; }
      set -e; cp -r '${join(import.meta.dirname, '../../docs')}' mnt/; diff -r '${join(import.meta.dirname, '../../docs')}' mnt/docs
      head -c 20000000 /dev/urandom >big; cp big mnt/big; mv mnt/big mnt/moved; cmp big mnt/moved; truncate -s 5 mnt/moved; cmp -n 5 big mnt/moved; stat -c %s mnt/moved
      ln -s docs mnt/link; readlink mnt/link; chmod 640 mnt/moved; chown 3:4 mnt/moved; stat -c '%a %u %g' mnt/moved; rm -r mnt/docs mnt/link; ls mnt
      fusermount3 -u mnt; wait $mount`;
    expect(must(script)).toBe('5\ndocs\n640 3 4\nmoved\n');
    expect(must(`lxc file pull ${name}/root/moved - | wc -c; lxc file delete ${name}/root/moved`)).toBe('5\n');
  });

  it('ends with the container', () => {
    const script = `mkdir -p mnt2; lxc file mount victim/root mnt2 >mount.log 2>&1 & mount=$!
      for i in $(seq 50); do mountpoint -q mnt2 && break; sleep 0.1; done; lxc restart -f victim; ls mnt2 2>&1; wait $mount; cat mount.log`;
    expect(target.run(script).stdout).toContain('Instance disconnected');
  });
});

describe.skipIf(skip !== '')('an attacker inside', () => {
  const escapes = [
    `../../../../../../../../..${outside}/secret`, `/..${outside}/secret`, `/link-up/..${outside}/secret`, `/link-absolute/secret`, `/link-up${outside}/secret`,
    `/proc/1/root/../../..${outside}/secret`, '/proc/1/cwd/../etc/shadow', '/proc/self/root/etc/shadow',
  ];

  it.each(['victim', 'root', 'stopped'])('leads nobody out of %s by links and dots', async (name) => {
    for (const [link, to] of [['/link-up', '../../../../../../../..'], ['/link-absolute', outside]] as const) await ask('POST', name, link, to, { 'X-LXD-type': 'symlink' });
    for (const path of escapes) {
      expect((await ask('GET', name, path)).text, path).not.toContain('secret\n');
      await ask('POST', name, path, 'overwritten');
      await ask('DELETE', name, path);
      await ask('POST', name, `${path}-new`, '', { 'X-LXD-type': 'directory' });
      await ask('POST', name, `${path}-link`, '/x', { 'X-LXD-type': 'symlink' });
    }
    expect(readdirSync(outside)).toEqual(['secret']);
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('the host’s secret\n');
  });

  it('wins no race between a look and a step', async () => {
    inside('victim', 'mkdir -p /race/real/a/b /race/other; echo inside >/race/real/a/b/secret');
    const swap = `cd /race; while :; do mv real/a other/a; ln -s ../../../../../../../.. real/a; rm real/a; mv other/a real/a; done`;
    const swapper = spawn('lxc', ['exec', 'victim', '--', 'sh', '-c', swap], { env: target.env, stdio: 'ignore' });
    try {
      const up = `/race/real/a/b/../../../../../../../../../../..${outside}`;
      for (let round = 0; round < 150; round++) {
        const answers = await Promise.all([ask('GET', 'victim', `${up}/secret`), ask('POST', 'victim', `${up}/new`, 'x'), ask('POST', 'victim', `/race/real/a${outside}/new`, 'x'), ask('GET', 'victim', `/race/real/a${outside}/secret`)]);
        for (const { text } of answers) expect(text).not.toContain('host');
      }
    } finally {
      swapper.kill('SIGKILL');
      target.run('lxc exec victim -- killall sh');
    }
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  it('makes nobody wait or open a device by FIFOs, sockets and nodes, also behind links', async () => {
    inside('victim', 'mkfifo /root/fifo; ln -s fifo /root/to-fifo; nc -lU /root/socket >/dev/null 2>&1 & ln -s /dev/zero /root/to-zero; true');
    inside('root', 'mknod /root/disk b 254 0; mknod /root/disk2 b 259 0; mknod /root/mem c 1 1; mknod /root/watchdog c 10 130; mkfifo /root/fifo');
    for (const [name, path] of [['victim', 'fifo'], ['victim', 'to-fifo'], ['victim', 'to-zero'], ['root', 'disk'], ['root', 'disk2'], ['root', 'mem'], ['root', 'watchdog'], ['root', 'fifo']] as const) {
      const [read, written] = [path.startsWith('to-') ? null : await ask('GET', name, `/root/${path}`), await ask('POST', name, `/root/${path}`, 'x'.repeat(100_000))];
      for (const answer of [read, written]) expect(answer?.text ?? 'no such device or address', `${name} ${path}`).toContain('no such device or address');
    }
    for (const path of ['/dev/zero', '/dev/null', '/dev/console']) expect((await ask('GET', 'victim', path)).status).toBe(500);
  });

  it('takes no owner or mode for another file when a pushed one is swapped', async () => {
    inside('victim', 'echo precious >/root/precious; chmod 600 /root/precious; mkdir -p /home/u');
    const swapper = spawn('lxc', ['exec', 'victim', '--', 'sh', '-c', 'cd /home/u; while :; do rm -rf d; ln -s /root/precious d 2>/dev/null; rm -rf d f; ln -s /root/precious f; rm -f f; done'], { env: target.env, stdio: 'ignore' });
    try {
      for (let round = 0; round < 200; round++) await ask('POST', 'victim', '/home/u/d', '', { 'X-LXD-type': 'directory', 'X-LXD-uid': 1000, 'X-LXD-mode': '0777' });
    } finally {
      swapper.kill('SIGKILL');
      target.run('lxc exec victim -- killall sh');
    }
    expect(inside('victim', 'stat -c "%a %u" /root/precious')).toBe('600 0\n');
  });

  it('breaks no answer by hostile names', async () => {
    const names = ['a\r\nX-Evil: 1', '"quoted"', '-rf', '…', '\x1b[2J', '%2e%2e'];
    for (const name of names) expect((await ask('POST', 'stopped', `/tmp/${name}`, name)).status).toBe(200);
    await ask('POST', 'stopped', Buffer.from([0x2f, 0x74, 0x6d, 0x70, 0x2f, 0xff]), 'bytes');
    for (const name of names) {
      const answer = await ask('GET', 'stopped', `/tmp/${name}`);
      expect(answer.text).toBe(name);
      expect(answer.headers['x-evil']).toBeUndefined();
    }
    const { metadata } = JSON.parse((await ask('GET', 'stopped', '/tmp')).text) as { metadata: string[] };
    expect(metadata.sort()).toEqual([...names, '\ufffd'].sort());
    expect((await ask('GET', 'stopped', Buffer.from([0x2f, 0x74, 0x6d, 0x70, 0x2f, 0xff]))).text).toBe('bytes');
  });

  it('sees nothing of the server, which has no rights but those over files', async () => {
    expect((await ask('GET', 'victim', '/etc/passwd')).status).toBe(200);
    expect((await ask('GET', 'root', '/etc/passwd')).status).toBe(200);
    expect((await ask('GET', 'stopped', '/etc/passwd')).status).toBe(200);
    expect(inside('victim', 'ps; ls /proc')).not.toContain('roost-files');
    const servers = serversOf();
    expect(servers.length).toBe(3);
    for (const pid of servers) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      // CHOWN, DAC_OVERRIDE, FOWNER, FSETID.
      expect(/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]).toBe('000000000000001b');
      expect(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1]).toBe('0000000000000000');
      expect(/^NoNewPrivs:\s*1$/m.test(status)).toBe(true);
      expect(/^Seccomp:\s*2$/m.test(status)).toBe(true);
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (words.includes('mapped') || words.includes('plain')) {
        expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n')).toHaveLength(1);
        expect(/^Uid:\s*(\d+)/m.exec(status)?.[1]).not.toBe('0');
      }
      expect(readlinkSync(`/proc/${pid}/root`)).toBe('/');
      expect(existsSync(`/proc/${pid}/root${outside}`)).toBe(false);
    }
  });
});

describe.skipIf(skip !== '')('whoever runs code of theirs in the server', () => {
  const native = join(import.meta.dirname, '../../libs/host/native');

  it.each(['listener', 'connection'])('can ask the kernel for nothing but files, as its %s', (which) => {
    const program = join(target.root, `filter-${which}`);
    execFileSync('gcc', ['-o', program, join(import.meta.dirname, '../support/filter-try.c'), `${native}/files/filter.c`, `${native}/process/process.c`]);
    const answers = Object.fromEntries(execFileSync(program, [which], { encoding: 'utf8' }).trim().split('\n').map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));

    const allowed = Object.keys(answers).filter((call) => answers[call] === 'allowed').sort();
    expect(allowed).toEqual(which === 'listener' ? ['fork', 'kill', 'memory', 'openat2', 'wait4'] : ['memory', 'openat2']);
    // What is refused is refused by the filter, not for its arguments.
    const refusals = new Set(Object.entries(answers).filter(([call]) => call !== 'seccomp').map(([, answer]) => answer));
    expect([...refusals].sort()).toEqual(['ENOSYS', 'EPERM', 'allowed']);
    expect(Object.keys(answers).length).toBeGreaterThan(18);
  });
});

describe.skipIf(skip !== '')('a client that speaks SFTP', () => {
  const connect = async (name: string): Promise<{ socket: net.Socket; received: () => Buffer; closed: Promise<void> }> => {
    const socket = net.connect(join(target.dir, 'unix.socket'));
    const chunks: Buffer[] = [];
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('close', resolve).on('error', () => undefined);
    socket.write(`GET /1.0/instances/${name}/sftp HTTP/1.1\r\nHost: x\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n`);
    await expect.poll(() => Buffer.concat(chunks).toString('latin1')).toContain('\r\n\r\n');
    return { socket, received: () => { const all = Buffer.concat(chunks); return all.subarray(all.indexOf('\r\n\r\n') + 4); }, closed };
  };
  const packet = (...parts: (number[] | string)[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.concat([u32(part.length), Buffer.from(part, 'latin1')]) : Buffer.from(part))));
    return Buffer.concat([u32(body.length), body]);
  };
  const u32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt32BE(value); return bytes; };

  it.each([
    ['a length beyond all', Buffer.from([0xff, 0xff, 0xff, 0xff, 1])], ['no length at all', Buffer.from([0, 0, 0, 0])], ['half a message', packet([3, 0, 0])],
    ['noise', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))],
  ])('is cut off for %s, and nobody else', async (_, bytes) => {
    const { socket, closed } = await connect('victim');
    socket.write(bytes);
    socket.end();
    await closed;
    expect((await ask('GET', 'victim', '/etc/passwd')).status).toBe(200);
  });

  it('is told what is wrong with texts and handles that point nowhere', async () => {
    const { socket, received, closed } = await connect('victim');
    const id = [0, 0, 0, 9];
    const wrong = [
      packet([7, ...id, 0xff, 0xff, 0xff, 0xff]), packet([5, ...id], 'abcdefgh', Array(12).fill(0)), packet([5, ...id], '\xff\xff\xff\xff', Array(12).fill(0)), packet([4, ...id], '\0\0\x01\0'),
      packet([6, ...id], '\0\0\0\0', Array(8).fill(0), [0x7f, 0xff, 0xff, 0xff]), packet([3, ...id], '/etc/passwd\0x', [0, 0, 0, 1, 0, 0, 0, 0]), packet([200, ...id], 'put@roost', 'none'),
      packet([200, ...id], 'nothing@known'), packet([99, ...id]), packet([18, ...id], '/etc/passwd'),
    ];
    for (const [index, bytes] of wrong.entries()) {
      const before = received().length;
      socket.write(bytes);
      await expect.poll(() => received().length, { message: `${index}` }).toBeGreaterThan(before);
      const answer = received().subarray(before);
      // A status with our id that says no.
      expect([answer[4], answer[8]]).toEqual([101, 9]);
      expect(answer.readUInt32BE(9)).not.toBe(0);
    }
    socket.end();
    await closed;
  });

  it('leaves nothing behind when it goes in the middle of a file', async () => {
    must('head -c 30000000 /dev/zero >zeros; lxc file push zeros victim/root/zeros -q');
    const request = http.get({ socketPath: join(target.dir, 'unix.socket'), path: '/1.0/instances/victim/files?path=/root/zeros' });
    request.on('error', () => undefined);
    await new Promise<void>((resolve) => request.once('response', (response) => response.once('data', () => { request.destroy(); resolve(); })));
    const upload = http.request({ socketPath: join(target.dir, 'unix.socket'), method: 'POST', path: '/1.0/instances/victim/files?path=/root/part', headers: { 'Content-Length': 1_000_000 } });
    upload.on('error', () => undefined);
    upload.write('x');
    await expect.poll(async () => (await ask('GET', 'victim', '/root/part')).text).toBe('x');
    upload.destroy();
    // The server alone, without a process for a connection.
    await expect.poll(() => spawnSync('pgrep', ['-c', '-P', `${serversOf()[0] ?? 0}`], { encoding: 'utf8' }).stdout.trim(), { timeout: 10_000 }).toBe('0');
  });

  it('finds the file system full, and is told so', async () => {
    inside('victim', 'mkdir -p /small; mount -t tmpfs -o size=1m none /small');
    const answer = await ask('POST', 'victim', '/small/large', 'x'.repeat(4_000_000));
    expect(answer).toMatchObject({ status: 500 });
    expect(answer.text).toContain('sftp: \\"write /small/large: no space left on device\\" (SSH_FX_FAILURE)');
    expect(statSync(join(target.dir, 'unix.socket')).isSocket()).toBe(true);
  });

  it('needs no more memory for a large file than for a small one', async () => {
    must('truncate -s 300M sparse');
    const before = memoryOf(target.pid);
    must('lxc file push sparse stopped/root/sparse -q; lxc file pull stopped/root/sparse - | tail -c 1 >/dev/null; lxc file delete stopped/root/sparse');
    expect(memoryOf(target.pid) - before).toBeLessThan(100 * 1024);
  });
});

/** Resident kilobytes of the daemon and all it started. */
function memoryOf(pid: number): number {
  const status = ((): string => { try { return readFileSync(`/proc/${pid}/status`, 'utf8'); } catch { return ''; } })();
  const children = spawnSync('pgrep', ['-P', `${pid}`], { encoding: 'utf8' }).stdout.split('\n').map(Number).filter((child) => child > 0);
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0) + children.reduce((sum, child) => sum + memoryOf(child), 0);
}
