import { chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { isAlive, signalProcess, whenGone, type ProcessStamp, type SessionRequest, type SessionServer } from '#host';
import { AppError, conflict, internal, messageOf, notFound, randomHex, unavailable, type Logger } from '#kernel';
import { ExecSessions, type ConsoleRequest, type ExecRequest, type ExecStarted } from '#ports';
import { execDirectory, execEnvironment, sessionFields, type SessionSpec } from './exec-environment.rules.js';
import { hostId } from './idmap.rules.js';
import type { InstanceRecords } from './instance-records.js';
import type { LxcPaths } from './lxc-paths.js';
import type { RunningContainers } from './running-containers.js';

const SIGKILL = 9;
const helperGone = 137;
/** A session that nobody waits for this long has lost its daemon: nobody will ever read its output. */
const orphanPatienceMs = 10_000;
const defaultWidth = 80;
const defaultHeight = 25;

interface Session {
  readonly id: string;
  readonly directory: string;
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
    private readonly server: SessionServer,
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
      this.register(id, directory, whenGone(helper).then(() => this.outcome(directory)));
    }
  }

  close(): void {
    for (const session of this.sessions.values()) {
      clearTimeout(session.orphanTimer);
    }
    this.sessions.clear();
    this.server.close();
    rmEmpty(this.paths.execs);
    if (this.paths.sessionRun !== this.paths.run) rmEmpty(this.paths.sessionRun);
  }

  override async startExec(request: ExecRequest): Promise<ExecStarted> {
    const pid = this.reachable(request.projectName);
    if (request.command.length === 0) throw internal('A command is missing');
    return this.start('exec', request.projectName, this.commandSpec(request, pid), request);
  }

  override async startConsole(request: ConsoleRequest): Promise<ExecStarted> {
    this.reachable(request.projectName);
    const size = { width: request.width || defaultWidth, height: request.height || defaultHeight };
    const spec: SessionSpec = { interactive: true, ends: 'all', uid: 0, gid: 0, hostUid: 0, hostGid: 0, ...size, cwd: '/', environment: {}, command: [] };
    return this.start('console', request.projectName, spec, request);
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

  private async start(verb: 'exec' | 'console', name: string, spec: SessionSpec, { endpointUid, endpointGid }: Endpoints): Promise<ExecStarted> {
    const sessionId = randomHex(8);
    const directory = this.paths.exec(sessionId);
    try {
      // Others clean up in places like /dev/shm.
      mkdirSync(this.paths.execs, { recursive: true, mode: 0o711 });
      const request: SessionRequest = { id: sessionId, verb, directory, lxcPath: this.paths.lxcPath, name, endpointUid, endpointGid, spec: sessionFields(spec) };
      const started = await this.server.start(request).catch((error: unknown) => {
        // A server that was killed before it saw the request has done nothing.
        if (AppError.is(error, 'unavailable') && !exists(directory)) return this.server.start(request);
        throw error;
      });
      this.register(sessionId, directory, started.ended.then(() => this.outcome(directory)));
    } catch (error) {
      const helper = readStamp(`${directory}/helper`);
      if (helper !== null) signalProcess(helper, SIGKILL);
      this.killCommand(directory);
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
    const path = (file: string, wanted: boolean): string => (wanted ? `${directory}/${file}` : '');
    const { interactive, ends } = spec;
    return {
      sessionId, stdinPath: path('stdin', !interactive && ends === 'all'), terminalPath: path('terminal', interactive),
      stdoutPath: path('stdout', !interactive && ends !== 'none'), stderrPath: path('stderr', !interactive && ends !== 'none'),
      gatePath: path('gate', !interactive && ends !== 'none'),
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
      interactive: request.interactive, ends: request.ends, uid: request.user, gid: request.group,
      hostUid: hostId(idmap, request.user, 'uid') ?? 0, hostGid: hostId(idmap, request.group, 'gid') ?? 0,
      width: request.width || defaultWidth, height: request.height || defaultHeight,
      cwd: execDirectory(request.cwd, environment), environment, command: request.command,
    };
  }

  private register(id: string, directory: string, exit: Promise<number>): void {
    const session: Session = { id, directory, exit, waiters: 0, orphanTimer: undefined };
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
    rmSync(session.directory, { recursive: true, force: true });
  }

  /** What the helper wrote down; a helper that was killed takes its command with it. */
  private outcome(directory: string): number {
    const code = readText(`${directory}/exit`);
    if (code !== null) return Number(code);
    const error = readText(`${directory}/error`);
    if (error !== null) throw internal(error);
    this.killCommand(directory);
    return helperGone;
  }

  private killCommand(directory: string): void {
    const command = readStamp(`${directory}/pid`);
    if (command !== null) signalProcess(command, SIGKILL);
  }

  private command(sessionId: string, line: string): void {
    this.send(this.get(sessionId), line);
  }

  /** The helper keeps the FIFO open, so this neither waits nor loses a line. */
  private send(session: Session, line: string): void {
    try {
      const fd = openSync(`${session.directory}/control`, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        writeSync(fd, `${line}\n`);
      } finally {
        closeSync(fd);
      }
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

/** Outside the state directory nothing may stay; a directory with sessions in it does. */
function rmEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Sessions that outlive this agent.
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
