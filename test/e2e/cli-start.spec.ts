import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, copyFileSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const top = resolve(import.meta.dirname, '../..');
const directory = mkdtempSync(`${tmpdir()}/roost-start-`);
const long = 'x'.repeat(500_000);
const env = { PATH: process.env['PATH'], HOME: directory, ROOST_CONF: `${directory}/conf`, ROOST_SOCKET: `${directory}/socket` };
let server: Server;

/** The program as it is started: by its shell script, from the image of its heap. */
describe('the start of roost', () => {
  beforeAll(async () => {
    mkdirSync(env.ROOST_CONF);
    writeFileSync(`${env.ROOST_CONF}/config.yml`, 'default-remote: local\nremotes:\n  local:\n    addr: unix://\n    public: false\naliases: {}\n');
    server = createServer((request, response) => {
      if (request.url?.includes('/files') === true) return void response.writeHead(200, { 'content-length': '1000', 'x-lxd-type': 'file', 'x-lxd-mode': '0644' }).write('half');
      const metadata = request.url?.includes('long') === true ? long : { api_extensions: [], auth: 'trusted', environment: { server_version: '9' } };
      response.end(JSON.stringify({ type: 'sync', metadata }));
    });
    await new Promise<void>((done) => server.listen(env.ROOST_SOCKET, done));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = (program: string, words: readonly string[], options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}): string => {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', cwd: options.cwd ?? '/', env: { ...env, ...options.env } });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    return stdout;
  };

  it('finds its tree from wherever and however it is called', () => {
    const expected = start(`${top}/deploy/bin/roost`, ['--version']);
    expect(expected).toMatch(/^\d/);
    symlinkSync(`${top}/deploy/bin/roost`, `${directory}/link`);
    expect(start(`${directory}/link`, ['--version'])).toBe(expected);
    expect(start('deploy/bin/roost', ['--version'], { cwd: top })).toBe(expected);
    expect(start('./roost', ['--version'], { cwd: `${top}/deploy/bin` })).toBe(expected);
    expect(start('sh', ['roost', '--version'], { cwd: `${top}/deploy/bin` })).toBe(expected);
    expect(start('roost', ['--version'], { cwd: `${top}/deploy`, env: { PATH: `bin:${env.PATH}` } })).toBe(expected);
    expect(start('./lxc', ['--version'], { cwd: `${top}/deploy/compat` })).toBe(expected);
    expect(start('./lxc', ['list', '--help'], { cwd: `${top}/deploy/compat` })).toContain('lxc list [<remote>:] [<filter>...]');
  });

  it('works without the image as well', () => {
    const tree = `${directory}/tree`;
    for (const folder of ['deploy/bin', 'dist/bundle']) mkdirSync(`${tree}/${folder}`, { recursive: true });
    copyFileSync(`${top}/deploy/bin/roost`, `${tree}/deploy/bin/roost`);
    copyFileSync(`${top}/dist/bundle/roost.cjs`, `${tree}/dist/bundle/roost.cjs`);
    symlinkSync(`${top}/node_modules`, `${tree}/node_modules`);
    expect(start(`${tree}/deploy/bin/roost`, ['list', '--help'])).toBe(start(`${top}/deploy/bin/roost`, ['list', '--help']));
  });

  it('takes words, environment and time zone from the call, not from the build', () => {
    expect(spawnSync(`${top}/deploy/bin/roost`, ['no such "command"', ''], { encoding: 'utf8', env }).stderr).toBe('Error: unknown command "no such \\"command\\"" for "roost"\n');
    expect(start('sh', ['-c', `cd ${directory} && ${top}/deploy/bin/roost file --help | head -2`])).toContain('Description:');
  });

  it('writes all of a long answer into a pipe that is slow and must not block', async () => {
    const pipe = `${directory}/pipe`;
    spawnSync('mkfifo', [pipe]);
    const descriptor = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      // Node makes the first three descriptors of what it starts blocking, and so those of this process: hence another, and a shell.
      const child = spawn('sh', ['-c', `exec ${top}/deploy/bin/roost query /1.0/long >&3`], { env, stdio: ['ignore', 'ignore', 'inherit', descriptor] });
      let code: number | null | undefined;
      child.once('exit', (status) => { code = status; });
      let read = 0;
      const buffer = Buffer.alloc(16_384);
      for (let last = false; !last;) {
        last = code !== undefined;
        await new Promise((done) => setTimeout(done, 5));
        try {
          for (;;) read += readSync(descriptor, buffer);
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe('EAGAIN');
        }
      }
      expect({ code, read }).toEqual({ code: 0, read: `"${long}"\n\n`.length });
    } finally {
      closeSync(descriptor);
    }
  });

  it.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('leaves nothing of a file when it is interrupted by %s', async (signal, expected) => {
    writeFileSync(`${directory}/old`, 'as it was');
    const child = spawn(`${top}/deploy/bin/roost`, ['file', 'pull', 'c1/x', `${directory}/old`], { env, stdio: 'ignore' });
    const code = new Promise((done) => child.once('exit', done));
    const there = (): string[] => readdirSync(directory).filter((name) => name.startsWith('old'));
    // What has come is in a file beside it.
    await expect.poll(() => there().map((name) => readFileSync(`${directory}/${name}`, 'utf8')).sort(), { timeout: 20_000 }).toEqual(['as it was', 'half']);
    child.kill(signal);
    expect(await code).toBe(expected);
    expect(there()).toEqual(['old']);
  });

  it('says nothing when nobody reads on', async () => {
    const child = spawn('sh', ['-c', `${top}/deploy/bin/roost query /1.0/long | head -c 1`], { env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => { out += data.toString(); });
    child.stderr.on('data', (data: Buffer) => { err += data.toString(); });
    expect(await new Promise((done) => child.once('close', done))).toBe(0);
    expect([out, err]).toEqual(['"', '']);
  });
});
