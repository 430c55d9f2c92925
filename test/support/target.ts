import { spawn, spawnSync, type ChildProcess, type SpawnSyncOptionsWithStringEncoding } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { needsRoot } from './needs.js';

const top = resolve(import.meta.dirname, '../..');

export type TargetKind = 'roost' | 'lxd';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A daemon under test with a state directory of its own: ours, or real LXD, driven by the same client. */
export class Target {
  readonly dir = join(this.root, 'd');
  readonly conf = join(this.root, 'conf');
  readonly logFile = join(this.root, 'daemon.log');
  protected child: ChildProcess | undefined;

  constructor(readonly kind: TargetKind, readonly root = mkdtempSync(join(tmpdir(), `rt-${kind}-`))) {
    // Roots of unprivileged containers are reached with mapped ids: every directory above must let others pass.
    chmodSync(this.root, 0o711);
    mkdirSync(this.dir, { mode: 0o711 });
    mkdirSync(this.conf);
  }

  /** Why the two daemons cannot be run side by side here; empty where they can. */
  static whyNotBoth(): string {
    if (needsRoot !== '') return needsRoot;
    if (!existsSync(join(top, 'dist/bundle/daemon.js'))) return 'Roost is not built (tools/build)';
    return spawnSync('lxd', ['--version']).status === 0 ? '' : 'LXD is not installed';
  }

  /** The daemon's program: `lxd`, or our compatible wrapper. */
  get program(): string {
    return this.kind === 'lxd' ? 'lxd' : join(top, 'deploy/compat/lxd');
  }

  get env(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: this.root, LXD_DIR: this.dir, LXD_CONF: this.conf, LANG: 'C.UTF-8', TERM: 'dumb' };
  }

  get pid(): number {
    const pid = this.child?.pid;
    if (pid === undefined) throw new Error(`No ${this.kind} was started`);
    return pid;
  }

  /** Starts the daemon without waiting for it. */
  launch(): void {
    const log = openSync(this.logFile, 'a');
    this.child = this.spawnDaemon(log);
    closeSync(log);
  }

  async start(): Promise<void> {
    this.launch();
    const ready = this.daemon(['waitready', '--timeout=30']);
    if (ready.code !== 0) throw new Error(`${this.kind} did not start: ${ready.stderr}\n${readFileSync(this.logFile, 'utf8').slice(-4000)}`);
  }

  /** Starts the daemon with its output in the file `log`. */
  protected spawnDaemon(log: number): ChildProcess {
    return spawn(this.program, ['--logfile', `${this.logFile}.own`, '--group', 'root'], { env: this.env, stdio: ['ignore', log, log], detached: true });
  }

  /** SIGTERM, or SIGKILL for `hard`; resolves when the process is gone. */
  async stop(hard = false): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(hard ? 'SIGKILL' : 'SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await gone;
    clearTimeout(timer);
    this.child = undefined;
  }

  /** Waits for a daemon that was told to end. Null when a signal ended it. */
  async exitCode(): Promise<number | null> {
    const child = this.child;
    if (child && child.exitCode === null && child.signalCode === null) await new Promise<void>((done) => child.once('exit', () => done()));
    return child?.exitCode ?? null;
  }

  /**
   * Stops instances and the daemon, and removes every trace of it from the host, also after a test that failed half way. Returns what the daemon
   * should have removed itself.
   */
  async destroy(): Promise<string[]> {
    // A daemon that a test ended still owns bridges and pools.
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) await this.start().catch(() => undefined);
    this.run('for i in $(lxc list --all-projects -f csv -c n 2>/dev/null); do lxc delete -f "$i"; done');
    this.run('for i in $(lxc image list -f csv -c f 2>/dev/null); do lxc image delete "$i"; done');
    this.run('lxc profile edit default </dev/null 2>/dev/null; printf "config: {}\\ndevices: {}\\n" | lxc profile edit default');
    this.run('for i in $(lxc network list -f csv 2>/dev/null | grep ,YES, | cut -d, -f1); do lxc network delete "$i"; done');
    this.run('for p in $(lxc storage list -f csv 2>/dev/null | cut -d, -f1); do for v in $(lxc storage volume list "$p" -f csv -c tn 2>/dev/null | grep ^custom, | cut -d, -f2 | grep -v /); do lxc storage volume delete "$p" "$v"; done; done');
    this.run('for i in $(lxc storage list -f csv 2>/dev/null | cut -d, -f1); do lxc storage delete "$i"; done');
    this.daemon(['shutdown', '--timeout=20']);
    await this.stop();
    const left = this.sweep();
    rmSync(this.root, { recursive: true, force: true });
    return left;
  }

  /** What a daemon that could not clean up has left: processes, mounts, loop devices, links and cgroups that name this state directory. */
  private sweep(): string[] {
    const stateId = ignoringGone(() => readFileSync(join(this.dir, 'state-id'), 'utf8').trim()) ?? 'none';
    const left: string[] = [];
    const remove = (what: string, action: () => unknown): void => { left.push(what); ignoringGone(action); };
    for (const pid of new Set([...this.leftovers(), ...processesBelow(stateId)])) {
      remove(`process ${pid} ${ignoringGone(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))}`, () => process.kill(pid, 'SIGKILL'));
    }
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(this.root));
    for (const path of mounts.sort().reverse()) remove(`mount ${path}`, () => spawnSync('umount', ['-l', path]));
    for (const line of spawnSync('losetup', ['-a'], { encoding: 'utf8' }).stdout.split('\n')) {
      if (line.includes(this.root)) remove(`loop device ${line}`, () => spawnSync('losetup', ['-d', line.split(':')[0]!]));
    }
    for (const link of readdirSync('/sys/class/net')) {
      const alias = ignoringGone(() => readFileSync(`/sys/class/net/${link}/ifalias`, 'utf8'));
      if (alias?.includes(stateId)) remove(`link ${link}`, () => spawnSync('ip', ['link', 'delete', link]));
    }
    const cgroups = spawnSync('find', ['/sys/fs/cgroup', '-depth', '-type', 'd', '-path', `*/roost-${stateId}*`], { encoding: 'utf8' }).stdout;
    for (const path of cgroups.split('\n').filter((found) => found !== '')) remove(`cgroup ${path}`, () => rmdirSync(path));
    ignoringGone(() => rmSync(`/run/lxc/lock${this.root}`, { recursive: true, force: true }));
    // Directories in memory: a daemon finds its own again after a restart, so it leaves them.
    for (const place of ['/run', '/dev/shm']) rmSync(`${place}/roost-${stateId}`, { recursive: true, force: true });
    return left;
  }

  /** Processes whose command line or environment names this state directory: nothing of it may outlive the test. */
  leftovers(): number[] {
    const found = spawnSync('pgrep', ['-f', this.root], { encoding: 'utf8' }).stdout;
    return found.split('\n').map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  }

  /** Words before a command that take it where the daemon lives; none on this host. */
  protected enter(): string[] { return []; }

  private spawnSync(command: string, argv: readonly string[], options: SpawnSyncOptionsWithStringEncoding): CommandResult {
    const enter = this.enter();
    // Another mount namespace is entered at its root.
    const stay = enter.length > 0 && options.cwd !== undefined ? ['env', '--chdir', String(options.cwd)] : [];
    const [program, ...words] = [...enter, ...stay, command, ...argv];
    return result(spawnSync(program!, words, options));
  }

  daemon(argv: readonly string[], stdin = ''): CommandResult {
    return this.spawnSync(this.program, argv, { env: this.env, encoding: 'utf8', input: stdin, timeout: 60_000 });
  }

  lxc(...argv: string[]): CommandResult {
    return this.spawnSync('lxc', argv, { env: this.env, encoding: 'utf8', input: '', timeout: 60_000, maxBuffer: 64 * 1024 * 1024 });
  }

  /** A shell line in which `lxc` talks to this daemon and `lxd` is its command. */
  run(line: string, extraEnv: NodeJS.ProcessEnv = {}): CommandResult {
    const script = `lxd() { command "${this.program}" "$@"; }; ${line}`;
    return this.spawnSync('bash', ['-c', script], {
      env: { ...this.env, ...extraEnv }, encoding: 'utf8', input: '', cwd: this.root, timeout: 60_000, maxBuffer: 64 * 1024 * 1024,
    });
  }
}

/** Of containers: their own processes name nothing of ours, their cgroup does. */
function processesBelow(stateId: string): number[] {
  const found = spawnSync('sh', ['-c', `find /sys/fs/cgroup -path '*/roost-${stateId}/*' -name cgroup.procs -exec cat {} + 2>/dev/null`], { encoding: 'utf8' });
  return [...new Set(found.stdout.split('\n').map(Number))].filter((pid) => pid > 1 && pid !== process.pid);
}

function ignoringGone<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function result(process: { status: number | null; stdout: string; stderr: string; error?: Error }): CommandResult {
  return { code: process.status ?? -1, stdout: process.stdout ?? '', stderr: (process.stderr ?? '') + (process.error ? String(process.error) : '') };
}
