import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Target, type CommandResult, type TargetKind } from './target.js';

const top = resolve(import.meta.dirname, '../..');

/** Where a member lives; decided by its cluster. */
export interface MemberPlace {
  readonly index: number;
  readonly address: string;
  /** Words before a command that make it run in the member's namespaces. */
  readonly enter: () => string[];
  readonly diskMb: number;
  readonly clocks: boolean;
}

/** Whom a signal is for. LXD is one process: there the daemon is all there is. */
export type Part = 'daemon' | 'agent' | 'etcd';

/** One member: its daemon is started by the script that also runs members in docker-compose.yml. */
export class ClusterMember extends Target {
  private readonly paused = new Set<number>();

  constructor(kind: TargetKind, root: string, private readonly place: MemberPlace) {
    super(kind, root);
    this.mountDisk();
    if (place.clocks) buildClockShim(root);
  }

  get index(): number { return this.place.index; }
  get name(): string { return `m${this.index}`; }
  get address(): string { return this.place.address; }
  /** host:port */
  get url(): string { return `${this.address}:8443`; }
  get socket(): string { return join(this.dir, 'unix.socket'); }

  override get env(): NodeJS.ProcessEnv {
    return { ...super.env, MEMBER_DAEMON: this.program };
  }

  protected override enter(): string[] { return this.place.enter(); }

  protected override spawnDaemon(log: number): ChildProcess {
    const [command, ...words] = [...this.enter(), join(top, 'deploy/member'), '--logfile', `${this.logFile}.own`, '--group', 'root', ...(process.env['ROOST_KEEP_LOGS'] && this.kind === 'roost' ? ['--debug'] : [])];
    // Only the daemon and its children live by the shifted clock, not the client.
    const clock = this.place.clocks && this.kind === 'roost' ? { LD_PRELOAD: clockShim(this.root), CLOCK_SHIFT: clockFile(this.root) } : {};
    return spawn(command!, words, { env: { ...this.env, ...this.formation, ...clock }, stdio: ['ignore', log, log], detached: true });
  }

  /** Set before a start, lets the script form the cluster or join it instead of this harness. */
  formation: NodeJS.ProcessEnv = {};

  /** Whether the daemon this test started still runs. */
  alive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Processes of a part, found by the state directory in their command lines. */
  pids(part: Part): number[] {
    if (part === 'daemon') return this.alive() ? [this.pid] : [];
    const wanted = part === 'agent' ? /agent[^ ]*\.js/ : /(^|\/)etcd( |$)/;
    return this.leftovers().filter((pid) => {
      try {
        return wanted.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        return false;
      }
    });
  }

  override leftovers(): number[] {
    // Not m1 for m10: the directory's name ends at the slash.
    const found = spawnSync('pgrep', ['-f', `${this.root}/`], { encoding: 'utf8' }).stdout;
    return found.split('\n').map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  }

  /** SIGKILL; resolves when the daemon is gone. Returns false where the member has no such process now. */
  async kill(part: Part = 'daemon'): Promise<boolean> {
    const pids = this.pids(part);
    if (part === 'daemon') await this.stop(true);
    else for (const pid of pids) signal(pid, 'SIGKILL');
    return pids.length > 0;
  }

  /** The machine goes: every process of the member at once. Its containers stay, as nothing on this host may be taken from them. */
  async crash(): Promise<void> {
    for (const part of ['etcd', 'agent'] as const) await this.kill(part);
    await this.kill('daemon');
    for (const part of ['etcd', 'agent'] as const) await this.kill(part);
  }

  pause(part: Part = 'daemon'): boolean {
    const pids = this.pids(part);
    for (const pid of pids) {
      signal(pid, 'SIGSTOP');
      this.paused.add(pid);
    }
    return pids.length > 0;
  }

  /** Continues whatever `pause` stopped. */
  resume(): void {
    for (const pid of this.paused) signal(pid, 'SIGCONT');
    this.paused.clear();
  }

  /** As `run`, but beside what the test does next; `timeoutMs` ends it. */
  runBeside(line: string, timeoutMs = 60_000): Promise<CommandResult> {
    const script = `lxd() { command "${this.program}" "$@"; }; ${line}`;
    const [command, ...words] = [...this.enter(), 'env', '--chdir', this.root, 'timeout', String(timeoutMs / 1000), 'bash', '-c', script];
    const child = spawn(command!, words, { env: this.env, cwd: this.root, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part: Buffer) => { stdout += part.toString(); });
    child.stderr.on('data', (part: Buffer) => { stderr += part.toString(); });
    return new Promise((done) => child.once('close', (code) => done({ code: code ?? -1, stdout, stderr })));
  }

  override async stop(hard = false): Promise<void> {
    this.resume();
    await super.stop(hard);
  }

  /** Writes until the member's databases have no room left. */
  fillDisk(): void {
    if (this.place.diskMb === 0) throw new Error('This member has no disk of its own: option diskMb');
    const path = join(this.disk, 'filler');
    // Most of it at once, without writing it: the test must not stand still meanwhile.
    spawnSync('fallocate', ['--length', String(Math.max(1, this.diskFree() - (4 << 20))), path]);
    const file = openSync(path, 'a');
    try {
      for (let size = 1 << 18; size >= 1 << 9; size >>= 1) writeUntilFull(file, Buffer.alloc(size));
    } finally {
      closeSync(file);
    }
  }

  freeDisk(): void { rmSync(join(this.disk, 'filler'), { force: true }); }

  /** Free bytes on the member's own disk. */
  diskFree(): number {
    const { bavail, bsize } = statfsSync(this.disk);
    return bavail * bsize;
  }

  /**
   * Moves the wall clock of the daemon and of what it starts by `seconds`. Node programs only: etcd, as a Go program, asks the kernel itself, and
   * counts its terms and leases by the monotonic clock, which nobody can set.
   */
  shiftClock(seconds: number): void {
    if (!this.place.clocks) throw new Error('This member has the host clock: option clocks');
    const text = Buffer.alloc(8);
    text.writeBigInt64LE(BigInt(Math.round(seconds * 1e9)));
    writeFileSync(clockFile(this.root), text);
  }

  private get disk(): string { return join(this.dir, 'database'); }

  private mountDisk(): void {
    if (this.place.diskMb === 0) return;
    const image = join(this.root, 'disk.img');
    mkdirSync(this.disk, { recursive: true });
    for (const [command, ...argv] of [
      ['truncate', '--size', `${this.place.diskMb}M`, image], ['mkfs.ext4', '-q', '-m', '0', image], ['mount', '-o', 'loop', image, this.disk], ['rmdir', join(this.disk, 'lost+found')],
    ]) {
      const done = spawnSync(command!, argv, { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`);
    }
  }
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}

const clockShim = (root: string): string => join(root, 'clock-shift.so');
const clockFile = (root: string): string => join(root, 'clock-shift');

/** The shim maps the file, so it must exist, with eight bytes, before the daemon starts. */
function buildClockShim(root: string): void {
  writeFileSync(clockFile(root), Buffer.alloc(8));
  if (existsSync(clockShim(root))) return;
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', clockShim(root), join(top, 'test/support/clock-shift.c')], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`cc: ${built.stderr}`);
}

