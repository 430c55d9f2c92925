import { chmodSync, chownSync, closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, listenUnix, makeFifo, readProcessStat, signalProcess, type ProcessStamp, type RoostHelper, type RunningChild } from '#host';
import { conflict, internal, messageOf, notFound, randomHex, unavailable, type Logger } from '#kernel';
import { ExecSessions, type ConsoleRequest, type ExecRequest, type ExecStarted } from '#ports';
import { execDirectory, execEnvironment, formatSessionSpec, type SessionSpec } from './exec-environment.rules.js';
import { hostId } from './idmap.rules.js';
import type { InstanceRecords } from './instance-records.js';
import type { LxcPaths } from './lxc-paths.js';
import type { RunningContainers } from './running-containers.js';

const SIGKILL = 9;
const helperGone = 137;
/** A session that nobody waits for this long has lost its daemon: nobody will ever read its output. */
const orphanPatienceMs = 10_000;
const adoptedPollMs = 100;
const defaultWidth = 80;
const defaultHeight = 25;

interface Session {
  readonly id: string;
  readonly directory: string;
  /** Kept open for writing, so that a line is never lost while the helper starts. */
  readonly control: number;
  readonly exit: Promise<number>;
  waiters: number;
  orphanTimer: NodeJS.Timeout | undefined;
}

/** Who may open the endpoints of a session. */
type Endpoints = Pick<ExecRequest, 'endpointUid' | 'endpointGid'>;

/**
 * Commands inside containers, and their consoles. Each has a helper process as its parent, which outlives the agent, and a directory with its streams, so that
 * a restarted agent takes sessions up again. Signals go to the command itself through its parent (hazards E2). A session without a
 * waiting daemon for ten seconds is killed.
 */
export class LxcExecSessions extends ExecSessions {
  private readonly sessions = new Map<string, Session>();

  constructor(
    private readonly paths: LxcPaths,
    private readonly running: RunningContainers,
    private readonly records: InstanceRecords,
    private readonly helper: RoostHelper,
    private readonly logger: Logger,
  ) {
    super();
  }

  /** Takes up sessions that an earlier agent left. */
  adopt(): void {
    mkdirSync(this.paths.execs, { recursive: true, mode: 0o711 });
    chmodSync(this.paths.execs, 0o711);
    for (const id of readdirSync(this.paths.execs)) {
      const directory = this.paths.exec(id);
      const helper = readStamp(`${directory}/helper`);
      if (helper === null || !isAlive(helper)) {
        this.killCommand(directory);
        rmSync(directory, { recursive: true, force: true });
        continue;
      }
      const control = openSync(`${directory}/control`, constants.O_RDWR | constants.O_NONBLOCK);
      this.register(id, directory, control, this.waitForHelper(helper).then(() => this.outcome(directory, null)));
    }
  }

  close(): void {
    for (const session of this.sessions.values()) {
      clearTimeout(session.orphanTimer);
      closeSync(session.control);
    }
    this.sessions.clear();
  }

  override async startExec(request: ExecRequest): Promise<ExecStarted> {
    const pid = this.reachable(request.projectName);
    if (request.command.length === 0) throw internal('A command is missing');
    return this.start('exec', request.projectName, request.interactive, this.commandSpec(request, pid), request);
  }

  override async startConsole(request: ConsoleRequest): Promise<ExecStarted> {
    this.reachable(request.projectName);
    const size = { width: request.width || defaultWidth, height: request.height || defaultHeight };
    const spec = { interactive: true, uid: 0, gid: 0, hostUid: 0, hostGid: 0, ...size, cwd: '/', environment: {}, command: [] };
    return this.start('console', request.projectName, true, spec, request);
  }

  /** The pid of its init. Both verbs talk to LXC's monitor. */
  private reachable(projectName: string): number {
    const container = this.running.get(projectName);
    if (container === undefined) throw conflict('Instance is not running');
    if (container.record.monitor === null || !isAlive(container.record.monitor)) {
      throw unavailable(`The monitor of "${projectName}" was killed: the container runs on, but must be restarted before commands can be run in it`);
    }
    return container.record.init.pid;
  }

  private async start(verb: 'exec' | 'console', name: string, interactive: boolean, spec: SessionSpec, endpoints: Endpoints): Promise<ExecStarted> {
    const sessionId = randomHex(8);
    const directory = this.paths.exec(sessionId);
    mkdirSync(directory, { mode: 0o711 });
    const descriptors: number[] = [];
    try {
      writeFileSync(`${directory}/spec`, formatSessionSpec(spec), { mode: 0o600 });
      makeFifo(`${directory}/control`, 0o600);
      descriptors.push(openSync(`${directory}/control`, constants.O_RDWR | constants.O_NONBLOCK));
      descriptors.push(...(interactive ? [this.makeTerminal(endpoints, directory)] : this.makeStreams(endpoints, directory)));
      const child = await this.helper.startSession(verb, { session: directory, lxcPath: this.paths.lxcPath, name, descriptors });
      const stamp = readProcessStat(child.pid);
      if (stamp !== null) writeFileSync(`${directory}/helper`, `${stamp.pid} ${stamp.startTicks}\n`, { mode: 0o600 });
      const [control = -1] = descriptors.splice(0, 1);
      this.register(sessionId, directory, control, this.exitOf(child, directory));
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    } finally {
      for (const fd of descriptors) closeSync(fd);
    }
    const path = (file: string, wanted: boolean): string => (wanted ? `${directory}/${file}` : '');
    return {
      sessionId, stdinPath: path('stdin', !interactive), stdoutPath: path('stdout', !interactive), stderrPath: path('stderr', !interactive),
      terminalPath: path('terminal', interactive),
    };
  }

  override async resizeExec(sessionId: string, width: number, height: number): Promise<void> {
    this.command(sessionId, `winsize ${Math.trunc(width)} ${Math.trunc(height)}`);
  }

  override async signalExec(sessionId: string, signal: number): Promise<void> {
    this.command(sessionId, `signal ${Math.trunc(signal)}`);
  }

  override async waitExec(sessionId: string, signal: AbortSignal): Promise<number> {
    const session = this.get(sessionId);
    session.waiters++;
    clearTimeout(session.orphanTimer);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(unavailable('Waiting for the command was cancelled'));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await Promise.race([session.exit.catch(() => {}), aborted]);
      this.forget(session);
      return await session.exit;
    } finally {
      signal.removeEventListener('abort', abort);
      if (--session.waiters === 0 && this.sessions.has(sessionId)) this.watchForOrphan(session);
    }
  }

  private commandSpec(request: ExecRequest, pid: number): SessionSpec {
    const spec = this.records.get(request.projectName)?.spec;
    const environment = execEnvironment(spec?.config ?? {}, request.environment, request.user, exists(`/proc/${pid}/root/snap`));
    const idmap = spec?.idmap ?? [];
    return {
      interactive: request.interactive, uid: request.user, gid: request.group,
      hostUid: hostId(idmap, request.user, 'uid') ?? 0, hostGid: hostId(idmap, request.group, 'gid') ?? 0,
      width: request.width || defaultWidth, height: request.height || defaultHeight,
      cwd: execDirectory(request.cwd, environment), environment, command: request.command,
    };
  }

  /** Reading end of stdin, writing ends of stdout and stderr: held until the daemon has opened the others. */
  private makeStreams({ endpointUid, endpointGid }: Endpoints, directory: string): number[] {
    return ['stdin', 'stdout', 'stderr'].map((name) => {
      const path = `${directory}/${name}`;
      makeFifo(path, 0o600);
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const end = name === 'stdin' ? reader : openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      if (end !== reader) closeSync(reader);
      chownSync(path, endpointUid, endpointGid);
      return end;
    });
  }

  private makeTerminal({ endpointUid, endpointGid }: Endpoints, directory: string): number {
    const path = `${directory}/terminal`;
    const fd = listenUnix(path);
    chmodSync(path, 0o600);
    chownSync(path, endpointUid, endpointGid);
    return fd;
  }

  private register(id: string, directory: string, control: number, exit: Promise<number>): void {
    const session: Session = { id, directory, control, exit, waiters: 0, orphanTimer: undefined };
    exit.catch(() => {}); // It is told to whoever waits.
    this.sessions.set(id, session);
    this.watchForOrphan(session);
  }

  private watchForOrphan(session: Session): void {
    session.orphanTimer = setTimeout(() => {
      this.logger.warn('Ending a command that nobody waits for', { session: session.id });
      this.send(session, `signal ${SIGKILL}`);
      void session.exit.catch((error: unknown) => this.logger.debug('A command without a listener failed', { error: messageOf(error) })).then(() => this.forget(session));
    }, orphanPatienceMs);
    session.orphanTimer.unref();
  }

  private forget(session: Session): void {
    if (!this.sessions.delete(session.id)) return;
    clearTimeout(session.orphanTimer);
    closeSync(session.control);
    rmSync(session.directory, { recursive: true, force: true });
  }

  private async exitOf(child: RunningChild, directory: string): Promise<number> {
    const { exitCode } = await child.exited;
    return this.outcome(directory, exitCode);
  }

  private async waitForHelper(helper: ProcessStamp): Promise<void> {
    while (isAlive(helper)) await sleep(adoptedPollMs, undefined, { ref: false });
  }

  /** What the helper wrote down; a helper that was killed takes its command with it. */
  private outcome(directory: string, exitCode: number | null): number {
    const code = readText(`${directory}/exit`);
    if (code !== null) return Number(code);
    const error = readText(`${directory}/error`);
    if (error !== null) throw internal(error);
    this.killCommand(directory);
    if (exitCode === null) return helperGone;
    throw internal(`The command could not be started (exit code ${exitCode})`);
  }

  private killCommand(directory: string): void {
    const command = readStamp(`${directory}/pid`);
    if (command !== null) signalProcess(command, SIGKILL);
  }

  private command(sessionId: string, line: string): void {
    this.send(this.get(sessionId), line);
  }

  private send(session: Session, line: string): void {
    try {
      writeSync(session.control, `${line}\n`);
    } catch (error) {
      this.logger.debug('Failed reaching a command', { session: session.id, error: messageOf(error) });
    }
  }

  private get(sessionId: string): Session {
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw notFound(`Command "${sessionId}" not found`);
    return session;
  }
}

/** `PID START-TICKS`; null where the file is not there or says something else. */
function readStamp(path: string): ProcessStamp | null {
  const [, pid, startTicks] = /^(\d+) (\d+)/.exec(readText(path) ?? '') ?? [];
  return pid === undefined ? null : { pid: Number(pid), startTicks: Number(startTicks) };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
