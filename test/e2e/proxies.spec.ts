import { spawn, type ChildProcess } from 'node:child_process';
import dgram from 'node:dgram';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { unmet } from '../support/needs.js';
import { LxcContainers } from '../support/lxc-containers.js';
import { readProc, shell, until, whyNoContainers } from '../support/lxc-fixture.js';

const server = `
const net = require('node:net'), dgram = require('node:dgram');
const [kind, address, port] = process.argv.slice(1);
if (kind === 'udp') {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(Number(port), address, () => console.log('ready'));
} else {
  const echo = net.createServer({ allowHalfOpen: true }, (client) => { client.on('error', () => {}); client.pipe(client); });
  const done = () => console.log('ready');
  if (kind === 'unix') echo.listen({ path: address, backlog: 4096 }, done); else echo.listen({ port: Number(port), host: address, backlog: 4096 }, done);
}`;

/** Sends, closes its half, and reads until the end. */
function ask(options: net.NetConnectOpts, bytes: string | Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = net.connect(options, () => socket.end(bytes));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk as Buffer));
  socket.on('error', reject);
  socket.on('close', () => resolve(Buffer.concat(chunks)));
  return promise;
}

function askUdp(port: number, text: string, host = '127.0.0.1'): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = dgram.createSocket('udp4');
  const timer = setTimeout(() => { socket.close(); reject(new Error('no answer')); }, 5000);
  socket.connect(port, host, () => socket.send(text));
  socket.on('message', (bytes) => { clearTimeout(timer); socket.close(); resolve(bytes.toString()); });
  return promise;
}

describe.skipIf(unmet('proxy devices', whyNoContainers()))('proxy devices', () => {
  const lxc = new LxcContainers();
  const servers: ChildProcess[] = [];
  afterEach(() => { for (const child of servers.splice(0)) child.kill('SIGKILL'); });
  const proxy = (name: string, config: Record<string, string>) => ({ name, config: { type: 'proxy', ...config } });
  const devices = () => `${lxc.fixture.state.devices}/c1`;
  const pidOf = (device: string) => Number(readFileSync(`${devices()}/proxy.${device}`, 'utf8').split(' ')[0]);
  const runs = (pid: number) => existsSync(`/proc/${pid}`) && !readProc(pid, 'stat').includes(') Z ');

  /** An echo server on the host, or inside a container's network. */
  async function serve(kind: 'tcp' | 'udp' | 'unix', address: string, port: number, pid?: number): Promise<void> {
    // A real init does this.
    if (pid !== undefined) shell('nsenter', '-t', `${pid}`, '-n', 'ip', 'link', 'set', 'lo', 'up');
    const node = [process.execPath, '-e', server, kind, address, `${port}`];
    const [command = '', ...words] = pid === undefined ? node : ['nsenter', '-t', `${pid}`, '-n', ...node];
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    servers.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
  }

  it('carries streams and datagrams into the container, with ranges of ports', async () => {
    const { pid } = await lxc.start('c1', {}, [
      proxy('web', { listen: 'tcp:127.0.0.1:24180-24182', connect: 'tcp:127.0.0.1:80' }), proxy('dns', { listen: 'udp:127.0.0.1:24153', connect: 'udp:127.0.0.1:53' }),
    ]);
    await serve('tcp', '127.0.0.1', 80, pid);
    await serve('udp', '127.0.0.1', 53, pid);
    const much = Buffer.alloc(8_000_000, 'roost');

    expect((await ask({ port: 24180, host: '127.0.0.1' }, 'hello')).toString()).toBe('hello');
    expect((await ask({ port: 24182, host: '127.0.0.1' }, much)).equals(much)).toBe(true);
    expect(await askUdp(24153, 'question')).toBe('question');
  });

  it('carries connections out of the container and drops what rights it can', async () => {
    mkdirSync(`${lxc.fixture.root}/s`);
    await serve('unix', `${lxc.fixture.root}/s/out.sock`, 0);
    await serve('tcp', '127.0.0.1', 24190);
    const { pid } = await lxc.start('c1', {}, [
      proxy('out', { bind: 'instance', listen: 'tcp:127.0.0.1:90', connect: 'tcp:127.0.0.1:24190', 'security.uid': '5', 'security.gid': '6' }),
      proxy('sock', { bind: 'instance', listen: 'unix:/tmp/in.sock', connect: `unix:${lxc.fixture.root}/s/out.sock`, uid: '3', gid: '4', mode: '0640' }),
      proxy('in', { listen: 'tcp:127.0.0.1:24191', connect: 'tcp:127.0.0.1:1' }),
    ]);

    shell('nsenter', '-t', `${pid}`, '-n', 'ip', 'link', 'set', 'lo', 'up');

    const answer = await lxc.fixture.run('c1', ['/bin/busybox', 'nc', '127.0.0.1', '90'], { input: 'from inside' });
    expect(answer.stdout).toBe('from inside');
    expect((await lxc.fixture.run('c1', ['stat', '-c', '%u %g %a %F', '/tmp/in.sock'])).stdout).toBe('3 4 640 socket\n');
    expect((await ask({ path: `/proc/${pid}/root/tmp/in.sock` }, 'by path')).toString()).toBe('by path');
    const field = (device: string, name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(readProc(pidOf(device), 'status'))![1]!;
    expect([field('out', 'Uid'), field('out', 'Gid'), field('out', 'Groups').trim(), field('out', 'CapEff')]).toEqual(['5\t5\t5\t5', '6\t6\t6\t6', '', '0000000000000000']);
    expect(field('in', 'Uid')).toBe('1000000\t1000000\t1000000\t1000000');
    for (const device of ['out', 'sock', 'in']) expect([field(device, 'NoNewPrivs'), field(device, 'Seccomp')]).toEqual(['1', '2']);
    // Connecting to a socket that is somebody's own takes this one right.
    expect(field('sock', 'CapEff')).toBe('0000000000000002');
  });

  it('tells who connected, in front of everything else', async () => {
    const { pid } = await lxc.start('c1', {}, [
      proxy('tcp', { listen: 'tcp:127.0.0.1:24200', connect: 'tcp:127.0.0.1:80', proxy_protocol: 'true' }),
      proxy('any', { listen: 'tcp:0.0.0.0:24201', connect: 'tcp:127.0.0.1:80', proxy_protocol: 'true' }),
      proxy('abstract', { listen: `unix:@roost-${process.pid}`, connect: 'tcp:127.0.0.1:80', proxy_protocol: 'true' }),
    ]);
    await serve('tcp', '127.0.0.1', 80, pid);

    expect((await ask({ port: 24200, host: '127.0.0.1', localPort: 24299 }, 'x')).toString()).toBe('PROXY TCP4 127.0.0.1 127.0.0.1 24299 24200\r\nx');
    expect((await ask({ port: 24201, host: '127.0.0.1' }, 'x')).toString()).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ 24201\r\nx$/);
    expect((await ask({ path: `\0roost-${process.pid}` }, 'x')).toString()).toBe('PROXY UNKNOWN\r\nx');
  });

  it('is added and removed while the container runs, and refuses what cannot listen', async () => {
    const { spec, pid } = await lxc.start('c1');
    await serve('tcp', '127.0.0.1', 80, pid);
    const path = `${lxc.fixture.root}/host.sock`;
    const after = lxc.fixture.spec('c1', {}, [
      proxy('p1', { listen: 'tcp:127.0.0.1:24210', connect: 'tcp:127.0.0.1:80' }), proxy('a.b', { listen: `unix:${path}`, connect: 'tcp:127.0.0.1:80', uid: '7', gid: '8', mode: '0600' }),
    ]);
    await lxc.fixture.host.instances.updateInstance(spec, after);
    expect((await ask({ port: 24210, host: '127.0.0.1' }, 'hot')).toString()).toBe('hot');
    const status = lstatSync(path);
    expect([status.isSocket(), status.uid, status.gid, status.mode & 0o777]).toEqual([true, 7, 8, 0o600]);
    expect((await ask({ path }, 'by path')).toString()).toBe('by path');

    const twice = lxc.fixture.spec('c1', {}, [...after.devices.slice(1), proxy('p2', { listen: 'tcp:127.0.0.1:24210', connect: 'tcp:127.0.0.1:80' })]);
    await expect(lxc.fixture.host.instances.updateInstance(after, twice)).rejects.toMatchObject({
      message: 'Failed to start device "p2": Error occurred when starting proxy device: Error: Failed to listen on 127.0.0.1:24210: listen tcp 127.0.0.1:24210: bind: address already in use',
    });
    expect((await ask({ port: 24210, host: '127.0.0.1' }, 'still')).toString()).toBe('still');

    await lxc.fixture.host.instances.updateInstance(after, spec);
    await expect(ask({ port: 24210, host: '127.0.0.1' }, 'gone')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect([existsSync(path), readdirSync(devices())]).toEqual([false, []]);
  });

  it('survives the agent, is brought back when killed, and ends with the container', async () => {
    const { pid } = await lxc.start('c1', {}, [proxy('p1', { listen: 'tcp:127.0.0.1:24220', connect: 'tcp:127.0.0.1:80' })]);
    await serve('tcp', '127.0.0.1', 80, pid);
    const first = pidOf('p1');
    await lxc.fixture.restartAgent();
    expect(pidOf('p1')).toBe(first);
    expect((await ask({ port: 24220, host: '127.0.0.1' }, 'again')).toString()).toBe('again');

    process.kill(first, 'SIGKILL');
    await until(() => !runs(first));
    await lxc.fixture.restartAgent();
    expect(pidOf('p1')).not.toBe(first);
    expect((await ask({ port: 24220, host: '127.0.0.1' }, 'new')).toString()).toBe('new');

    // Nobody of ours is there to see the end.
    const second = pidOf('p1');
    lxc.fixture.host.close();
    process.kill(pid, 'SIGKILL');
    await until(() => !runs(second));
    lxc.fixture.host = lxc.fixture.newHost();
    await lxc.fixture.open();
    expect(readdirSync(devices())).toEqual([]);
  });

  it('keeps a container from starting when it cannot listen, and leaves nothing', async () => {
    await serve('tcp', '127.0.0.1', 24230);
    const spec = await lxc.fixture.create('c1', {}, [
      proxy('p0', { listen: `unix:${lxc.fixture.root}/p0.sock`, connect: 'tcp:127.0.0.1:80' }), proxy('p1', { listen: 'tcp:127.0.0.1:24230', connect: 'tcp:127.0.0.1:80' }),
    ]);
    await expect(lxc.fixture.host.instances.startInstance(spec)).rejects.toMatchObject({
      message: 'Error occurred when starting proxy device: Error: Failed to listen on 127.0.0.1:24230: listen tcp 127.0.0.1:24230: bind: address already in use',
    });
    expect((await lxc.status('c1')).power).toBe('Stopped');
    expect([readdirSync(devices()), existsSync(`${lxc.fixture.root}/p0.sock`)]).toEqual([[], false]);
  });

  it('forwards by the firewall with nat, and leaves no rule', async () => {
    const bridge = `rpx${Math.random().toString(36).slice(2, 8)}`;
    shell('ip', 'link', 'add', bridge, 'type', 'bridge');
    try {
      shell('ip', 'address', 'add', '10.213.7.1/24', 'dev', bridge);
      shell('ip', 'link', 'set', bridge, 'up');
      const nic = { name: 'eth0', config: { type: 'nic', nictype: 'bridged', parent: bridge, 'ipv4.address': '10.213.7.9' } };
      const web = (config: Record<string, string>) => proxy('web', { nat: 'true', listen: 'tcp:10.213.7.1:24240-24241', ...config });
      const { spec, pid } = await lxc.start('c1', {}, [nic, web({ connect: 'tcp:0.0.0.0:80-81' })]);
      await lxc.fixture.run('c1', ['/bin/busybox', 'ip', 'address', 'add', '10.213.7.9/24', 'dev', 'eth0']);
      await lxc.fixture.run('c1', ['/bin/busybox', 'ip', 'link', 'set', 'eth0', 'up']);
      await serve('tcp', '10.213.7.9', 81, pid);
      expect((await ask({ port: 24241, host: '10.213.7.1' }, 'translated')).toString()).toBe('translated');

      const rules = () => shell('nft', 'list', 'table', 'inet', 'roost');
      expect(rules()).toContain('ip daddr 10.213.7.1 tcp dport 24241 dnat ip to 10.213.7.9:81');
      const other = lxc.fixture.spec('c1', spec.config, [nic, web({ connect: 'tcp:10.213.7.10:80-81' })]);
      await expect(lxc.fixture.host.instances.updateInstance(spec, other)).rejects.toMatchObject({
        message: `Failed to start device "web": Failed to start device "web": Connect IP "10.213.7.10" must be one of the instance's static IPv4 addresses`,
      });
      expect(rules()).toContain('10.213.7.9:81');
      await lxc.kill('c1');
      expect(rules()).not.toContain('10.213.7.9');
    } finally {
      shell('ip', 'link', 'del', bridge);
    }
  });

  it('carries thousands of connections at once in little memory', async () => {
    const { pid } = await lxc.start('c1', {}, [proxy('p1', { listen: 'tcp:127.0.0.1:24250', connect: 'tcp:127.0.0.1:80' })]);
    await serve('tcp', '127.0.0.1', 80, pid);
    const memory = () => Number(/^RssAnon:\s*(\d+)/m.exec(readProc(pidOf('p1'), 'status'))![1]);
    const before = memory();
    const sockets = await Promise.all(Array.from({ length: 2000 }, () => new Promise<net.Socket>((resolve, reject) => {
      const socket = net.connect(24250, '127.0.0.1', () => socket.write('ping'));
      socket.once('data', () => resolve(socket)).on('error', reject);
    })));
    const descriptors = () => readdirSync(`/proc/${pidOf('p1')}/fd`).length;
    expect(descriptors()).toBeGreaterThan(4000);
    expect(memory() - before).toBeLessThan(4000);

    for (const socket of sockets) socket.destroy();
    await until(() => descriptors() < 200);
  });
});
