import type { CommandRunner, RunningChild } from '../command.js';
import { internal, messageOf, unavailable, type Logger } from '#kernel';
import { isAlive, type ProcessStamp } from '../proc/process-stamp.js';

export interface SessionRequest {
  readonly id: string;
  readonly verb: 'exec' | 'console';
  /** Made for it, with its endpoints. */
  readonly directory: string;
  readonly lxcPath: string;
  readonly name: string;
  /** Who may open the endpoints. */
  readonly endpointUid: number;
  readonly endpointGid: number;
  /** What follows for the helper, in its order. */
  readonly spec: readonly (string | number)[];
}

export interface StartedSession {
  readonly helper: ProcessStamp;
  /** Resolves when the helper process has ended; never rejects. */
  readonly ended: Promise<void>;
}

interface Waiting {
  readonly started: (session: StartedSession) => void;
  readonly failed: (error: Error) => void;
}

const lostPollMs = 100;

/**
 * The C helper as a server of sessions (libs/host/native/sessions.c): started with the first one, it stays and forks for each, so that a command
 * costs no program start. Sessions survive it, as they survive us: their ends are then seen by looking at their processes.
 */
export class SessionServer {
  private server: Promise<RunningChild> | undefined;
  private readonly waiting = new Map<string, Waiting>();
  private readonly running = new Map<string, { readonly helper: ProcessStamp; readonly end: () => void }>();
  private partial = '';
  private closed = false;

  constructor(private readonly commands: CommandRunner, private readonly path: string, private readonly logger: Logger) {}

  /** Resolves when the endpoints are there. @throws `unavailable` when the server died meanwhile; the directory tells whether it had begun. */
  async start(request: SessionRequest): Promise<StartedSession> {
    const { id, verb, directory, lxcPath, name, endpointUid, endpointGid, spec } = request;
    const fields = [id, verb, directory, lxcPath, name, endpointUid, endpointGid, ...spec];
    const body = Buffer.from(fields.map((field) => `${`${field}`.replaceAll('\0', '')}\0`).join(''), 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    const server = await (this.server ??= this.launch());
    const { promise, resolve, reject } = Promise.withResolvers<StartedSession>();
    this.waiting.set(id, { started: resolve, failed: reject });
    server.pipes.get(0)?.write(Buffer.concat([head, body]));
    return promise;
  }

  /** Ends the server; sessions run on. */
  close(): void {
    this.closed = true;
    void this.server?.then((server) => server.pipes.forEach((pipe) => pipe.destroy()));
  }

  private async launch(): Promise<RunningChild> {
    try {
      // Everything is linked once, here, not again in each session.
      const server = await this.commands.spawn({ argv: [this.path, 'sessions'], descriptors: ['pipe', 'pipe', 'ignore'], env: { LD_BIND_NOW: '1' }, outlivesUs: true });
      for (const pipe of server.pipes.values()) pipe.on('error', () => {}).unref();
      server.pipes.get(1)?.on('data', (chunk: Buffer) => this.read(chunk));
      void server.exited.then(() => this.lost());
      return server;
    } catch (error) {
      this.server = undefined;
      throw error;
    }
  }

  private read(chunk: Buffer): void {
    const lines = (this.partial + chunk.toString('latin1')).split('\n');
    this.partial = lines.pop() ?? '';
    for (const line of lines) this.obey(line);
  }

  private obey(line: string): void {
    const [word, id = '', ...rest] = line.split(' ');
    const waiting = this.waiting.get(id);
    if (word === 'ended') {
      this.running.get(id)?.end();
      this.running.delete(id);
    } else if (word === 'started' && waiting !== undefined) {
      const helper = { pid: Number(rest[0]), startTicks: Number(rest[1]) };
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      this.waiting.delete(id);
      this.running.set(id, { helper, end });
      waiting.started({ helper, ended });
    } else if (word === 'failed' && waiting !== undefined) {
      this.waiting.delete(id);
      waiting.failed(internal(rest.join(' ')));
    }
  }

  /** Killed, or it could not start. The next session gets a new one. */
  private lost(): void {
    this.server = undefined;
    this.partial = '';
    if (!this.closed) this.logger.warn('The server of sessions is gone', { running: this.running.size });
    for (const { failed } of this.waiting.values()) failed(unavailable('The server of sessions was killed'));
    this.waiting.clear();
    for (const { helper, end } of this.running.values()) void whenGone(helper).then(end, (error: unknown) => this.logger.error('Failed watching a session', { error: messageOf(error) }));
    this.running.clear();
  }
}

/** Resolves when a process that is not our child is gone. */
export async function whenGone(process: ProcessStamp): Promise<void> {
  while (isAlive(process)) await new Promise((resolve) => setTimeout(resolve, lostPollMs).unref());
}
