import { accessSync, closeSync, constants } from 'node:fs';
import net from 'node:net';
import { constants as os } from 'node:os';
import koffi from 'koffi';
import { systemCallError } from '../ioctl/ioctl.js';
import { makePipe } from '../syscalls/syscalls.js';

const libc = koffi.load('libc.so.6');
const calls = {
  spawn: libc.func('int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **env)'),
  actionsInit: libc.func('int posix_spawn_file_actions_init(void *actions)'),
  actionsDestroy: libc.func('int posix_spawn_file_actions_destroy(void *actions)'),
  addOpen: libc.func('int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)'),
  addDup: libc.func('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)'),
  addClose: libc.func('int posix_spawn_file_actions_addclose(void *actions, int fd)'),
  addChdir: libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)'),
  attributesInit: libc.func('int posix_spawnattr_init(void *attributes)'),
  setFlags: libc.func('int posix_spawnattr_setflags(void *attributes, int16_t flags)'),
  setDefaults: libc.func('int posix_spawnattr_setsigdefault(void *attributes, const void *signals)'),
  setMask: libc.func('int posix_spawnattr_setsigmask(void *attributes, const void *signals)'),
  fillSignals: libc.func('int sigfillset(void *signals)'),
  wait: libc.func('int waitpid(int pid, _Out_ int *status, int options)'),
};

const WNOHANG = 1;
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
/** Larger than the C library's structures on any architecture. */
const structureBytes = 1024;
/** Descriptors are moved out of each other's way to here and up. */
const aside = 512;
/** A lost SIGCHLD must not leave a caller waiting. */
const reapMs = 1000;

export interface ChildProgram {
  /** With or without a slash; without one it is looked for in the PATH of `env`. */
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  /** Descriptors 0, 1, 2, ... of the child: one of ours, a pipe to us, or `/dev/null`. The child has no others. */
  readonly stdio: readonly (number | 'pipe' | 'ignore')[];
  /** The event loop does not stay for this child. */
  readonly unref?: boolean;
}

export interface ChildStatus {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartedChild {
  readonly pid: number;
  /** Our ends of pipes, by the child's descriptor. */
  readonly pipes: ReadonlyMap<number, net.Socket>;
  /** Resolves when the child has ended; never rejects. */
  readonly exited: Promise<ChildStatus>;
}

/**
 * Starts a program in a session of its own, with default signals. Unlike Node's `spawn` this does not fork: forking a process of this size
 * copies its page tables with the event loop stopped, and each page written afterwards costs a fault.
 * Throws a `SystemCallError`; its code is ENOENT for a program that is not there.
 */
export function startChild(program: ChildProgram): StartedChild {
  const path = findProgram(program.argv[0], program.env['PATH'] ?? '');
  const ours = new Map<number, number>();
  const theirs: number[] = [];
  const actions = Buffer.alloc(structureBytes);
  calls.actionsInit(actions);
  try {
    const sources = program.stdio.map((where, fd) => {
      if (where !== 'pipe') return where;
      const [mine, other] = pipeTo(fd === 0);
      ours.set(fd, mine);
      theirs.push(other);
      return other;
    });
    arrange(actions, sources);
    if (program.cwd !== undefined) calls.addChdir(actions, program.cwd);
    const pid: [number] = [0];
    const environment = Object.entries(program.env).map(([name, value]) => `${name}=${value}`);
    const errno = calls.spawn(pid, path, actions, attributes(), [...program.argv, null], [...environment, null]) as number;
    if (errno !== 0) throw systemCallError(`Cannot start "${path}"`, errno);
    const pipes = new Map([...ours].map(([fd, end]) => [fd, new net.Socket({ fd: end, readable: fd !== 0, writable: fd === 0 })]));
    ours.clear();
    return { pid: pid[0], pipes, exited: children.add(pid[0], program.unref === true) };
  } finally {
    calls.actionsDestroy(actions);
    for (const fd of [...theirs, ...ours.values()]) closeSync(fd);
  }
}

function arrange(actions: Buffer, sources: readonly (number | 'ignore')[]): void {
  sources.forEach((source, fd) => { if (typeof source === 'number') calls.addDup(actions, source, aside + fd); });
  sources.forEach((source, fd) => {
    if (source === 'ignore') calls.addOpen(actions, fd, '/dev/null', constants.O_RDWR, 0);
    else {
      calls.addDup(actions, aside + fd, fd);
      calls.addClose(actions, aside + fd);
    }
  });
}

let madeAttributes: Buffer | undefined;

/** Node ignores SIGPIPE, and what is ignored would stay so in the child. */
function attributes(): Buffer {
  if (madeAttributes === undefined) {
    madeAttributes = Buffer.alloc(structureBytes);
    const signals = Buffer.alloc(structureBytes);
    calls.attributesInit(madeAttributes);
    calls.setMask(madeAttributes, signals);
    calls.fillSignals(signals);
    calls.setDefaults(madeAttributes, signals);
    calls.setFlags(madeAttributes, SETSIGDEF | SETSIGMASK | SETSID);
  }
  return madeAttributes;
}

/** Our end first. */
function pipeTo(weWrite: boolean): [number, number] {
  const { read, write } = makePipe();
  return weWrite ? [write, read] : [read, write];
}

function findProgram(name: string, searchPath: string): string {
  if (name.includes('/')) return name;
  for (const directory of searchPath.split(':')) {
    const path = `${directory}/${name}`;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next directory may have it.
    }
  }
  throw systemCallError(`Cannot find "${name}"`, koffi.os.errno['ENOENT'] ?? 2);
}

/** Collects the ends of our children. Node's own children are collected by Node. */
class Children {
  private readonly waiting = new Map<number, (status: ChildStatus) => void>();
  private timer: NodeJS.Timeout | undefined;
  private watching = false;

  add(pid: number, unref: boolean): Promise<ChildStatus> {
    if (!this.watching) {
      this.watching = true;
      process.on('SIGCHLD', () => this.reap());
    }
    this.timer ??= setInterval(() => this.reap(), reapMs).unref();
    if (!unref) this.timer.ref();
    return new Promise((resolve) => this.waiting.set(pid, resolve));
  }

  private reap(): void {
    for (const [pid, resolve] of this.waiting) {
      const status: [number] = [0];
      const found = calls.wait(pid, status, WNOHANG) as number;
      if (found === 0) continue;
      this.waiting.delete(pid);
      resolve(found === pid ? statusOf(status[0]) : { exitCode: null, signal: null });
    }
    if (this.waiting.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

const children = new Children();
const signalNames = new Map(Object.entries(os.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** As wait(2) encodes it. */
function statusOf(status: number): ChildStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff, signal: null } : { exitCode: null, signal: signalNames.get(signal) ?? null };
}
