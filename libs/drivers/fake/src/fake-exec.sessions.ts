import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { internal, notFound } from '#kernel';
import { ExecSessions, type ConsoleRequest, type ExecEnds, type ExecRequest, type ExecStarted } from '#ports';
import { FakeFaults } from './fake-faults.js';

/** What a fake command may use. Output sockets are ended for it when it returns. */
export interface FakeProcess {
  readonly request: ExecRequest;
  /** All of stdin, once it has ended. */
  readStdin(): Promise<Buffer>;
  write(stream: 'stdout' | 'stderr', data: Uint8Array | string): Promise<void>;
  /** Rejects with the signal's number as 128+n when one arrives. */
  readonly killed: Promise<never>;
}

export type FakeCommand = (process: FakeProcess) => Promise<number>;

class Killed {
  constructor(readonly exitCode: number) {}
}

interface Session {
  readonly exit: Promise<number>;
  readonly signals: number[];
  readonly sizes: string[];
  readonly kill: (signal: number) => void;
  readonly dispose: () => void;
}

const namesOf: Readonly<Record<ExecEnds, readonly string[]>> = { all: ['stdin', 'stdout', 'stderr'], output: ['stdout', 'stderr'], none: [] };

/** A handful of programs, enough to see bytes, exit codes and signals; tests add more to `commands`. */
const builtins: Readonly<Record<string, FakeCommand>> = {
  true: async () => 0,
  false: async () => 1,
  exit: async ({ request }) => Number(request.command[1] ?? 0),
  echo: async (process) => {
    await process.write('stdout', `${process.request.command.slice(1).join(' ')}\n`);
    return 0;
  },
  cat: async (process) => {
    await process.write('stdout', await process.readStdin());
    return 0;
  },
  sleep: ({ killed }) => killed,
  /** Asks who is there until the client goes. */
  console: async (process) => {
    await process.write('stdout', 'login: ');
    await process.readStdin();
    return 0;
  },
  'taken console': async () => { throw internal('Cannot attach to the console: Device or resource busy'); },
  /** `zeros N`: N bytes on stdout. */
  zeros: async (process) => {
    const block = Buffer.alloc(65_536);
    for (let left = Number(process.request.command[1] ?? 0); left > 0; left -= block.length) await process.write('stdout', block.subarray(0, left));
    return 0;
  },
};

/**
 * Commands inside fake instances. Endpoints are real unix sockets in a temporary directory, so that the daemon's byte path is the one
 * that runs in production. Call `dispose` at the end of a test.
 */
export class FakeExecSessions extends ExecSessions {
  readonly commands = new Map<string, FakeCommand>(Object.entries(builtins));
  readonly requests: ExecRequest[] = [];
  /** Made with the first command: most tests run none. */
  private directory = '';
  private readonly sessions = new Map<string, Session>();
  private readonly consoles = new Set<string>();
  private count = 0;

  constructor(private readonly faults: FakeFaults = new FakeFaults()) {
    super();
  }

  override async startExec(request: ExecRequest): Promise<ExecStarted> {
    await this.faults.enter('exec.startExec');
    this.requests.push(request);
    const sessionId = `exec-${++this.count}`;
    this.directory ||= mkdtempSync(join(tmpdir(), 'roost-fake-exec-'));
    const path = (name: string): string => join(this.directory, `${this.count}.${name}`);
    const names = request.interactive ? ['terminal'] : namesOf[request.ends];
    const endpoints = new Map<string, Endpoint>();
    for (const name of names) endpoints.set(name, await Endpoint.listen(path(name)));
    this.sessions.set(sessionId, this.run(request, endpoints));
    const at = (name: string): string => (endpoints.has(name) ? path(name) : '');
    return { sessionId, stdinPath: at('stdin'), stdoutPath: at('stdout'), stderrPath: at('stderr'), terminalPath: at('terminal'), gatePath: '' };
  }

  /** Runs the command `console` of `commands`; one at a time for each instance. */
  override async startConsole(request: ConsoleRequest): Promise<ExecStarted> {
    await this.faults.enter('exec.startConsole');
    const { projectName } = request;
    const command = this.consoles.has(projectName) ? 'taken console' : 'console';
    const started = await this.startExec({ ...request, command: [command], environment: {}, user: 0, group: 0, cwd: '/', interactive: true, ends: 'all' });
    if (command === 'taken console') return started;
    this.consoles.add(projectName);
    const free = (): boolean => this.consoles.delete(projectName);
    this.session(started.sessionId).exit.then(free, free);
    return started;
  }

  override async resizeExec(sessionId: string, width: number, height: number): Promise<void> {
    await this.faults.enter('exec.resizeExec');
    this.session(sessionId).sizes.push(`${width}x${height}`);
  }

  override async signalExec(sessionId: string, signal: number): Promise<void> {
    await this.faults.enter('exec.signalExec');
    this.session(sessionId).signals.push(signal);
    this.session(sessionId).kill(signal);
  }

  override async waitExec(sessionId: string, signal: AbortSignal): Promise<number> {
    await this.faults.enter('exec.waitExec');
    const session = this.session(sessionId);
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    try {
      return await Promise.race([session.exit, aborted]);
    } finally {
      session.dispose();
    }
  }

  /** Signals and sizes a session was given, for assertions. */
  trace(sessionId: string): { signals: number[]; sizes: string[] } {
    const { signals, sizes } = this.session(sessionId);
    return { signals, sizes };
  }

  dispose(): void {
    for (const session of this.sessions.values()) session.dispose();
    if (this.directory !== '') rmSync(this.directory, { recursive: true, force: true });
    this.directory = '';
  }

  private session(sessionId: string): Session {
    const session = this.sessions.get(sessionId);
    if (!session) throw notFound(`Exec session "${sessionId}" not found`);
    return session;
  }

  private run(request: ExecRequest, endpoints: ReadonlyMap<string, Endpoint>): Session {
    const { promise: killed, reject: kill } = Promise.withResolvers<never>();
    killed.catch(() => {});
    const input = endpoints.get('stdin') ?? endpoints.get('terminal');
    const process: FakeProcess = {
      request,
      killed,
      readStdin: async () => (input ? Promise.race([input.readAll(), killed]) : Buffer.alloc(0)),
      write: async (stream, data) => (endpoints.get(stream) ?? endpoints.get('terminal'))?.write(data),
    };
    const command = this.commands.get(request.command[0] ?? '');
    const exit = Promise.race([command ? command(process) : Promise.resolve(127), killed])
      .catch((error: unknown) => {
        if (error instanceof Killed) return error.exitCode;
        throw error;
      })
      .finally(() => {
        for (const [name, endpoint] of endpoints) if (name !== 'stdin') endpoint.end();
      });
    exit.catch(() => {});
    return {
      exit, signals: [], sizes: [],
      kill: (signal) => kill(new Killed(128 + signal)),
      dispose: () => endpoints.forEach((endpoint) => endpoint.close()),
    };
  }
}

/** One unix socket, accepting one connection. */
class Endpoint {
  private readonly connected: Promise<net.Socket>;

  private constructor(private readonly server: net.Server) {
    this.connected = new Promise((resolve) => server.once('connection', resolve));
  }

  static async listen(path: string): Promise<Endpoint> {
    const server = net.createServer({ allowHalfOpen: true });
    const endpoint = new Endpoint(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    server.unref();
    return endpoint;
  }

  async readAll(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.connected) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  async write(data: Uint8Array | string): Promise<void> {
    const socket = await this.connected;
    await new Promise<void>((resolve) => socket.write(data, () => resolve()));
  }

  end(): void {
    void this.connected.then((socket) => socket.end());
  }

  /** Connections under way still deliver what was written. */
  close(): void {
    this.server.close();
  }
}
