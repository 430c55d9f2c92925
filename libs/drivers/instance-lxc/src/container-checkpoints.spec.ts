import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandFailedError, CommandRunner, LxcTools, type CommandResult, type RunningChild, type RunOptions, type SpawnOptions } from '#host';
import { SilentLogger, StateDirectory } from '#kernel';
import { ContainerCheckpoints } from './container-checkpoints.js';
import { LxcPaths } from './lxc-paths.js';

/** Debian 12's CRIU 3.17.1 on a kernel of 2026. */
const refusal = `(00.000000) Version: 3.17.1 (gitid 0)
(00.003750) Error (criu/util.c:642): exited, status=1
(00.022111) vdso: Parsing at 7ffd4a5f2000 7ffd4a5f4000
(00.022113) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds
(00.022115) Error (criu/vdso.c:613): vdso: Failed to fill self vdso symtable
(00.022116) Error (criu/kerndat.c:1615): kerndat_vdso_fill_symtable failed when initializing kerndat.
(00.022159) Error (criu/crtools.c:260): Could not initialize kernel features detection.
`;

/** Records what is run, and answers as `lxc-checkpoint` was seen to. */
class RecordedCommands extends CommandRunner {
  readonly seen: (readonly string[])[] = [];
  log = '(00.000000) Version: 3.17.1 (gitid 0)\n';
  exitCode = 0;

  override async run({ argv }: RunOptions): Promise<CommandResult> {
    this.answer(argv, 'dump');
    if (this.exitCode !== 0) throw new CommandFailedError(argv, this.exitCode, null, '');
    return { exitCode: 0, stdout: '', stderr: '' };
  }

  override async spawn({ argv, outlivesUs }: SpawnOptions): Promise<RunningChild> {
    expect(outlivesUs).toBe(true);
    this.answer(argv, 'restore');
    return { pid: 1, pipes: new Map(), exited: Promise.resolve({ exitCode: this.exitCode, signal: null, stderrTail: '' }), killGroup: () => false };
  }

  private answer(argv: readonly string[], work: string): void {
    this.seen.push(argv);
    writeFileSync(`${argv[argv.indexOf('--checkpoint-dir') + 1]}/${work}.log`, this.log);
  }
}

let root: string;
let commands: RecordedCommands;
let checkpoints: ContainerCheckpoints;
let container: { stopRequested: boolean; noticed: PromiseWithResolvers<void> };
let ended: number;
const volume = { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: 'c1' } as const;
const state = () => `${root}/storage-pools/p/containers/c1/state`;
const logs = () => readdirSync(`${root}/logs/c1`).map((name) => name.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, '<time>'));

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/roost-criu-`);
  const paths = new LxcPaths(new StateDirectory(root), '0123456789abcdef');
  for (const directory of [paths.logs('c1'), dirname(state())]) mkdirSync(directory, { recursive: true });
  commands = new RecordedCommands();
  ended = 0;
  container = { stopRequested: false, noticed: Promise.withResolvers() };
  container.noticed.resolve();
  checkpoints = new ContainerCheckpoints({
    paths, lxc: new LxcTools(commands, '/none'), logger: new SilentLogger(),
    records: { get: () => ({ spec: { rootVolume: volume } }) as never },
    running: { get: (name) => (name === 'c1' ? container as never : undefined), end: async () => { ended++; } },
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('writeState', () => {
  it('has LXC write and end the container, and waits for its end', async () => {
    mkdirSync(state(), { recursive: true });
    writeFileSync(`${state()}/older`, '');

    await checkpoints.writeState({ projectName: 'c1', stop: true });

    expect(commands.seen).toEqual([['lxc-checkpoint', '--lxcpath', expect.stringMatching(/lxc-0123456789abcdef$/), '--name', 'c1', '--checkpoint-dir', state(), '--verbose', '--stop']]);
    expect([readdirSync(state()), logs(), container.stopRequested, ended]).toEqual([['dump.log'], ['snapshot_dump_<time>.log'], true, 1]);
  });

  it('lets it go on for a snapshot, and a reboot of it stays one', async () => {
    await checkpoints.writeState({ projectName: 'c1', stop: false });

    expect(commands.seen[0]).not.toContain('--stop');
    expect([existsSync(state()), container.stopRequested, ended]).toEqual([true, false, 0]);
  });

  it.each([true, false])('tells what CRIU says is wrong as LXD does, and leaves its log alone (stop %s)', async (stop) => {
    Object.assign(commands, { exitCode: 1, log: refusal });

    await expect(checkpoints.writeState({ projectName: 'c1', stop })).rejects.toMatchObject({
      kind: 'internal', message: `snapshot dump failed\n${refusal.split('\n').filter((line) => line.includes('Error')).join('\n')}`,
    });
    expect([existsSync(state()), logs(), container.stopRequested, ended]).toEqual([false, ['snapshot_dump_<time>.log'], false, 0]);
    expect(readFileSync(`${root}/logs/c1/${readdirSync(`${root}/logs/c1`)[0]}`, 'utf8')).toBe(refusal);
  });

  it('is for what runs', async () => {
    await expect(checkpoints.writeState({ projectName: 'c2', stop: true })).rejects.toMatchObject({ kind: 'conflict' });
  });
});

describe('discardState', () => {
  it('removes what is there, and nothing is success', async () => {
    await checkpoints.writeState({ projectName: 'c1', stop: false });

    await checkpoints.discardState(volume);
    await checkpoints.discardState(volume);
    expect(existsSync(state())).toBe(false);
  });
});

describe('LxcTools.restore', () => {
  it('gives the container\'s monitor a session of its own, and tells a failure', async () => {
    mkdirSync(state(), { recursive: true });
    const lxc = new LxcTools(commands, '/none');
    await lxc.restore({ lxcPath: '/l', name: 'c1', directory: state() });
    expect(commands.seen).toEqual([['lxc-checkpoint', '--restore', '--lxcpath', '/l', '--name', 'c1', '--checkpoint-dir', state(), '--verbose', '--daemon']]);

    commands.exitCode = 1;
    await expect(lxc.restore({ lxcPath: '/l', name: 'c1', directory: state() })).rejects.toBeInstanceOf(CommandFailedError);
  });
});
