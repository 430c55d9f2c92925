import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitWords } from '../../apps/cli/src/aliases.js';
import { tree } from '../../apps/cli/src/commands/tree.js';
import type { Command } from '../../apps/cli/src/grammar/command.js';
import { runInProcess } from '../../apps/cli/src/testing/in-process.js';
import { mask } from '../support/compare.js';
import { must } from '../support/pair.js';
import { Target, type TargetKind } from '../support/target.js';
import { sha256 } from '../../libs/features/images/src/testing/sample-images.js';
import { SimplestreamsTree } from '../../libs/features/images/src/testing/simplestreams-tree.js';

const top = resolve(import.meta.dirname, '../..');
const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;

/** Wait for something, write what nobody compares, make what the others would stumble over (links of one host), or ask for a terminal first, as ours do not. */
const leftOut = new Set(['monitor', 'manpage', 'help', 'remote add', 'cluster enable', 'file mount', 'network create', 'network list', 'console']);

/** `lxc` asks for events in the project of the command before it renames one, and complains of that. */
const worded = (line: string): boolean => line.startsWith('project rename --project');

interface Leaf { readonly path: string; readonly command: Command }

function leaves(command: Command, path: readonly string[]): Leaf[] {
  if (command.commands.length === 0) return command.beyond || leftOut.has(path.join(' ')) ? [] : [{ path: path.join(' '), command }];
  return command.commands.filter((one) => !one.beyond).flatMap((one) => leaves(one, [...path, one.name]));
}

/** The lines for one command: nothing, too much, what is not there, in a project that is not there, in every format. */
function linesOf({ path, command }: Leaf, index: number): string[] {
  const [least, most] = command.args;
  const words = (count: number): string => Array.from({ length: count }, (_, at) => `no-${index}-${at}`).join(' ');
  const lines = [path, `${path} --no-such-flag`, `${path} ${words(Math.max(1, least))}`, `${path} --project nosuch ${words(Math.max(1, least))}`, `${path} ${words(least)} --help=perhaps`];
  if (least > 1) lines.push(`${path} ${words(least - 1)}`);
  if (most !== Infinity) lines.push(`${path} ${words(most + 1)}`);
  if (command.flags.some((flag) => flag.name === 'format')) lines.push(...(path === 'warning list' ? ['csv'] : ['csv', 'json', 'yaml', 'compact', 'TABLE', '""']).map((format) => `${path} --format ${format} ${words(least)}`));
  for (const flag of command.flags.filter((one) => ['int', 'uint'].includes(one.kind))) lines.push(`${path} --${flag.name} many ${words(least)}`);
  return lines.filter((line) => !worded(line));
}

interface Said { readonly code: number | null; readonly out: string; readonly err: string }

async function sayTheirs(target: Target, line: string): Promise<Said> {
  const child = spawn('lxc', splitWords(line), { env: target.env, cwd: target.root, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
  const texts = ['', ''];
  [child.stdout, child.stderr].forEach((stream, index) => stream.on('data', (data: Buffer) => { texts[index] += data.toString('utf8'); }));
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, out: texts[0]!, err: texts[1]! };
}

/** In this process: there are two thousand lines. */
const sayOurs = (line: string): Promise<Said> => runInProcess('lxc', ...splitWords(line));

/** Every command with wrong arguments and missing objects: what is said, where, and the exit code are those of `lxc`. */
describe('every command at its edges', () => {
  const theirs = new Target(kind);
  const ours = new Target(kind);
  const before = { ...process.env };
  const both = [theirs, ours];
  const clean = (text: string): string => mask(text).replaceAll(/^ +[A-Za-z0-9+/=]{4,64}$/gm, '').replaceAll(/(certificate_fingerprint|server_pid): .*/g, '$1').replaceAll(/(Copying|Exporting) the image: [^\r]*\r/g, '').replaceAll(/\r/g, '').replace(/^(Description|Usage):[\s\S]*/m, '<help>').replace(/ {2,}/g, ' ').replace(/-{3,}/g, '---').trim();

  const streams = new SimplestreamsTree();
  const compare = async (line: string): Promise<void> => {
    const [expected, got] = await Promise.all([sayTheirs(theirs, line), sayOurs(line)]);
    // Properties of an image and warnings come in the order of a map of Go's.
    const ordered = (text: string): string => (/^(image info|warning list)/.test(line) ? text.split('\n').sort().join('\n') : text);
    const shown = (said: Said): string => `lxc ${line}\nexit ${said.code}\n${ordered(clean(said.out))}\n---\n${clean(said.err)}`;
    expect.soft(shown(got)).toBe(shown(expected));
  };

  beforeAll(async () => {
    await streams.start();
    for (const [alias, serial, arch] of [['22.04', '20250101', 'arm64'], ['24.04', '20260101', 'amd64'], ['24.04', '20260202', 'arm64']] as const) streams.publish(alias, serial, { arch, os: alias });
    await Promise.all(both.map((target) => target.start()));
    Object.assign(process.env, ours.env, { ROOST_CALLED_AS: 'lxc', ROOST_CONF: '', ROOST_DIR: '' });
    for (const target of both) {
      spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${join(target.root, 'bb.tar.gz')}'`]);
      must(target, 'lxc storage create default dir && lxc profile device add default root disk path=/ pool=default && lxc image import bb.tar.gz --alias bb && lxc init bb c1 && lxc snapshot c1 s1');
      const config = join(target.conf, 'config.yml');
      writeFileSync(config, readFileSync(config, 'utf8').replace('remotes:\n', `remotes:\n  ss:\n    addr: ${streams.url}\n    protocol: simplestreams\n    public: true\n`));
    }
  });
  afterAll(async () => {
    for (const key of Object.keys(process.env)) if (!(key in before)) delete process.env[key];
    Object.assign(process.env, before);
    for (const target of both) await target.destroy();
    await streams.stop();
  });

  it.each([
    'image list ss:', 'image list ss: -f csv -c lfpdasut', 'image list ss: -f json', 'image list ss: -f yaml', 'image list ss: 24', 'image list ss: os=ubuntu -f csv', 'image list ss: type=virtual-machine', 'image info ss:24.04', 'image info ss:22.04/arm64', 'image info ss:22.04',
    'image show ss:24.04', 'image show ss:nosuch', 'image info ss:nosuch', 'image get-property ss:24.04 os', 'image alias list ss:', 'image alias list ss: -f csv', 'image alias list ss: 24', 'image delete ss:24.04', 'image edit ss:24.04',
    'image set-property ss:24.04 a b', 'image unset-property ss:24.04 os', 'image refresh ss:24.04', 'image alias create ss:x y', 'image alias delete ss:24.04', 'image alias rename ss:24.04 y', 'list ss:', 'version ss:', 'info ss:',
    'network list ss:', 'image import no-file ss:', 'image copy c1 ss:', 'image copy local:bb ss:', 'launch bb ss:x', 'copy c1 ss:x', 'publish c1 ss:', 'image copy ss:24.04 ss:', 'image copy ss:nosuch local:',
    'image copy ss:24.04 local: --alias from-stream', 'image list local: from-stream -f csv -c lds', 'image export ss:nosuch /nosuch', 'remote list -f csv',
  ])('a simplestreams server: %s', async (line) => { await compare(line); });

  it('what a simplestreams server sends for an image is in the files, or there are none', async () => {
    const files = (target: Target): string[] => readdirSync(join(target.root, 'files')).sort().map((name) => `${name} ${sha256(readFileSync(join(target.root, 'files', name)))}`);
    for (const target of both) mkdirSync(join(target.root, 'files'));
    expect((await sayOurs(`image export ss:24.04 ${ours.root}/files`)).code).toBe(0);
    expect((await sayTheirs(theirs, `image export ss:24.04 ${theirs.root}/files`)).code).toBe(0);
    expect(files(ours)).toEqual(files(theirs));
    const [name, content] = [...streams.files].find(([path]) => path.endsWith('.squashfs'))!;
    streams.files.set(name, Buffer.alloc(content.length, 'y'));
    rmSync(join(ours.root, 'files'), { recursive: true });
    mkdirSync(join(ours.root, 'files'));
    const alias = /images\/(\d\d\.\d\d)/.exec(name)![1]!;
    expect(await sayOurs(`image export ss:${alias} ${ours.root}/files`)).toMatchObject({ code: 1, err: expect.stringContaining('hash') as string });
    expect(readdirSync(join(ours.root, 'files')).filter((file) => file.endsWith('.squashfs'))).toEqual([]);
  });

  it.each(leaves(tree, []).map((leaf, index) => [leaf.path, linesOf(leaf, index)] as const))('%s', async (_path, lines) => {
    for (const line of lines) await compare(line);
  });
});
