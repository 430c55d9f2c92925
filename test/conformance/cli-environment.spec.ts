import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateClientCertificate } from '#client';
import { unmet } from '../support/needs.js';

const top = resolve(import.meta.dirname, '../..');
const reason = spawnSync('lxc', ['--version']).status === 0 ? '' : 'lxc is not installed';

/** Configuration, aliases, environment and proxies, as `lxc` has them. No daemon is asked anything. */
describe.skipIf(unmet('the environment of the command line', reason))('the environment of the command line', () => {
  const root = mkdtempSync(`${tmpdir()}/rt-env-`);
  const remote = (name: string, rest: string): string => `  ${name}: {${rest}}\n`;

  beforeAll(() => {
    for (const name of ['conf', 'global', 'home/.config/lxc', 'empty']) mkdirSync(`${root}/${name}`, { recursive: true });
    const { certificate, key } = generateClientCertificate('tester');
    writeFileSync(`${root}/conf/client.crt`, certificate);
    writeFileSync(`${root}/conf/client.key`, key);
    const far = ['name', 'other'].map((name) => remote(name, `addr: "https://${name}.invalid:8443", protocol: lxd, public: false`)).join('');
    writeFileSync(`${root}/conf/config.yml`, `default-remote: local
remotes:
  local: {addr: "unix://", public: false}
${far}${remote('loop', 'addr: "https://127.0.0.77:1", protocol: lxd, public: false')}${remote('six', 'addr: "https://[::1]:1", public: yes')}${remote('streams', 'addr: "https://streams.invalid", protocol: simplestreams, public: true')}
aliases:
  e: help x
  mid: help a @ARGS@ z
  twice: help @ARGS@ and @ARGS@
  inside: help <@ARGS@>
  first: help <@ARG1@> @ARG1@
  turn: help @ARG2@ @ARGS@ @ARG1@
  third: help @ARG3@
  nested: e x
  itself: itself
  missing: nosuchcommand
  remote: help shadowed
  two words: help both
  flags: --quiet help x
  empty: ""
`);
    writeFileSync(`${root}/global/config.yml`, `default-remote: everywhere\nremotes:\n${remote('everywhere', 'addr: "https://everywhere.invalid:8443", public: false')}aliases: {galias: help x}\n`);
    writeFileSync(`${root}/home/.config/lxc/config.yml`, `default-remote: local\nremotes:\n${remote('homed', 'addr: "https://homed.invalid:8443", public: false, project: hp')}aliases: {}\n`);
    writeFileSync(`${root}/file`, '');
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  function say(program: string, words: readonly string[], environment: NodeJS.ProcessEnv): string {
    const env = { PATH: process.env['PATH'], HOME: `${root}/home`, LXD_DIR: `${root}/none`, ...environment };
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', cwd: root, env, timeout: 30_000 });
    const short = (text: string): string => text.replace(/^(Description:|Usage:|Help provides help)[\s\S]*/m, '<help>');
    return `exit ${status}\n${short(stdout)}\n---\n${short(stderr)}`;
  }
  const both = (line: string, environment: NodeJS.ProcessEnv = {}): void => {
    const [expected, got] = ['lxc', `${top}/deploy/compat/lxc`].map((program) => say(program, line.split(' '), environment));
    expect(got, line).toBe(expected);
  };

  it.each([
    'e', 'e a b', 'mid', 'mid 1 2', 'twice 1 2', 'inside', 'inside 1 2', 'first', 'first 1', 'first 1 2', 'turn 1', 'turn 1 2 3 4', 'third 1 2', 'nested 1', 'itself', 'missing', 'missing x', 'remote list', 'two', 'two words 1', 'flags 1', 'empty',
    '-q e 1', '--quiet --verbose e 1', '--project=p e 1', '--project p e 1', 'e --help', 'help e', 'e -- 1', 'alias list -f csv',
  ])('alias: %s', (line) => { both(line, { LXD_CONF: `${root}/conf` }); });

  it.each<[string, string, NodeJS.ProcessEnv]>([
    ['the home directory', 'remote list -f csv', {}], ['an empty variable', 'remote list -f csv', { LXD_CONF: '' }], ['a relative path', 'remote list -f csv', { LXD_CONF: 'home/.config/lxc' }],
    ['the configuration of all users', 'remote list -f csv', { LXD_GLOBAL_CONF: `${root}/global` }], ['what of it counts', 'remote get-default', { LXD_GLOBAL_CONF: `${root}/global` }], ['aliases in it', 'galias', { LXD_GLOBAL_CONF: `${root}/global` }],
    ['words that are true', 'remote list -f csv', { LXD_CONF: `${root}/conf` }], ['a directory for the socket', 'list', { LXD_DIR: `${root}/none/` }], ['a socket', 'list', { LXD_SOCKET: `${root}/none/s` }], ['both', 'list', { LXD_DIR: '/x', LXD_SOCKET: `${root}/none/s` }],
    ['variables that are none', 'remote get-default', { LXD_REMOTE: 'homed', LXD_PROJECT: 'x' }],
  ])('%s', (_what, line, environment) => { both(line, environment); });

  it('says that the configuration cannot be read', () => {
    for (const program of ['lxc', `${top}/deploy/compat/lxc`]) expect(say(program, ['remote', 'list'], { LXD_CONF: `${root}/file` })).toMatch(/^exit 1\n\n---\nError: Unable to read the configuration.*: open .*file\/config.yml: not a directory\n$/);
  });

  describe('proxies', () => {
    /** What the proxy was asked for, each once. */
    const asked = new Set<string>();
    const proxy = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        asked.add(data.toString('latin1').split('\r\n').filter((line) => /^(CONNECT |GET |proxy-authorization:)/i.test(line)).join(' ').toLowerCase());
        socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n');
      });
    });
    let address: string;
    beforeAll(async () => {
      await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
      address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    });
    afterAll(async () => { await new Promise((done) => proxy.close(done)); });

    it.each<[string, NodeJS.ProcessEnv]>([
      ['list name:', { https_proxy: 'http://@' }], ['list name:', { HTTPS_PROXY: 'http://@' }], ['list name:', { HTTPS_PROXY: 'http://@', https_proxy: 'http://127.0.0.1:1' }], ['list name:', { http_proxy: 'http://@' }], ['list name:', { all_proxy: 'http://@' }],
      ['list name:', { https_proxy: '@' }], ['list name:', { https_proxy: 'http://us%40er:pw@@' }], ['list loop:', { https_proxy: '@' }], ['list six:', { https_proxy: '@' }], ['image list streams:', { https_proxy: '@' }],
      ['image export streams:x', { https_proxy: '@' }], ['remote add new name.invalid --accept-certificate --password x', { https_proxy: '@' }],
      ...['name.invalid', '.invalid', 'invalid', 'other', 'NAME.invalid', 'name.invalid:8443', 'name.invalid:1', 'x, name.invalid ', '*', 'ame.invalid'].map((no) => ['list name:', { https_proxy: '@', no_proxy: no }] as [string, NodeJS.ProcessEnv]),
      ['list name:', { https_proxy: '@', NO_PROXY: 'x', no_proxy: 'name.invalid' }],
      ...['192.0.2.77', '192.0.2.77/8', '192.0.2.', '192.0.3.0/24', '192.0.2.77:1', '192.0.2.0/24'].map((no) => ['remote add new 192.0.2.77:1 --accept-certificate --password x', { https_proxy: '@', no_proxy: no }] as [string, NodeJS.ProcessEnv]),
    ])('%s %j', async (line, environment) => {
      const variables = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, name.toLowerCase().endsWith('_proxy') ? value!.replace(/@$/, address) : value]));
      const [expected, got] = [[] as string[], [] as string[]];
      for (const [program, heard] of [['lxc', expected], [`${top}/deploy/compat/lxc`, got]] as const) {
        asked.clear();
        // Where no proxy is asked nothing may answer for long: whether it is has been seen by then.
        const child = spawn(program, line.split(' '), { env: { PATH: process.env['PATH'], HOME: `${root}/home`, LXD_CONF: `${root}/conf`, ...variables }, stdio: 'ignore', timeout: 3000 });
        await new Promise((done) => child.once('close', done));
        heard.push(...[...asked].sort());
      }
      expect(got).toEqual(expected);
    });
  });
});
