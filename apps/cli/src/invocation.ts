import { ApiClient, ClientConfig, followOperation, type ApiAnswer, type ApiEndpoint } from '#client';
import type { Operation } from '#api-types';
import { invalid } from '#kernel';
import type { Command } from './grammar/command.js';
import type { Flags } from './grammar/parse-flags.js';
import { renderHelp, renderUsage } from './grammar/help.js';
import { renderList } from './output/render.js';
import { version } from './version-number.js';
import { toYaml } from './output/yaml.js';
import { Server } from './server.js';
import { Progress } from './terminal/progress.js';
import type { Terminal } from './terminal/terminal.js';

/** Ends the program with a code of its own and no message: what ran in an instance ended so. */
export class ExitCode extends Error {
  constructor(readonly code: number) { super(`exit ${code}`); }
}

/** A name as a user types it, `remote:name`, and the server it is on. */
export interface Place {
  readonly server: Server;
  readonly name: string;
}

/** What a command does. */
export type Run = (invocation: Invocation) => Promise<void>;

/** One call of one command: its words, and what it needs from around. */
export class Invocation {
  private readonly servers = new Map<string, Server>();
  private loaded: ClientConfig | undefined;

  constructor(
    /** How it was called. Example: `['roost', 'config', 'set']` */
    readonly path: readonly string[],
    readonly command: Command,
    readonly args: readonly string[],
    readonly flags: Flags,
    readonly terminal: Terminal,
    private readonly loadConfig: () => ClientConfig,
    /** All commands there are. */
    readonly root: Command,
  ) {}

  /** `roost`, or `lxc` where it stands in for it. */
  get program(): string { return this.path[0]!; }

  get config(): ClientConfig {
    this.loaded ??= this.loadConfig();
    return this.loaded;
  }

  /** The argument at a place; empty where there is none. */
  arg(index: number): string { return this.args[index] ?? ''; }

  print(text: string): void { this.terminal.out(`${text}\n`); }

  /** A line on standard error. */
  note(text: string): void { this.terminal.err(`${text}\n`); }

  printYaml(value: unknown): void { this.terminal.out(toYaml(value)); }

  printList(header: readonly string[], rows: readonly (readonly string[])[], data: unknown, format = this.flags.text('format')): void {
    this.terminal.out(renderList(format, header, rows, data));
  }

  printHelp(): void { this.terminal.out(renderHelp(this.path, this.command)); }

  /** How it is called, on standard error: for what was called with nothing. */
  noteUsage(): void { this.note(renderUsage(this.path, this.command)); }

  /** The project a command works in: the flag's, else `ROOST_PROJECT`, else the remote's. `lxc` has no such variable. */
  projectOf(remote: string): string {
    return this.flags.text('project') || process.env['ROOST_PROJECT'] || this.config.remote(remote).project;
  }

  parse(text: string): { readonly remote: string; readonly name: string } { return this.config.parseRemote(text); }

  /** `remote:name` and its server. */
  async place(text: string): Promise<Place> {
    const { remote, name } = this.parse(text);
    return { server: await this.server(remote), name };
  }

  /** An argument that names nothing but a remote, or is left out. The default remote where it is. */
  async serverOf(text: string): Promise<Server> { return (await this.place(text)).server; }

  /** The server of a remote, asked once who it is. */
  async server(remote = this.config.defaultRemote): Promise<Server> {
    const known = this.servers.get(remote);
    if (known !== undefined) return known;
    const { public: isPublic, protocol } = this.config.remote(remote);
    if (isPublic || protocol === 'simplestreams') throw invalid("The remote isn't a private LXD server");
    const server = await this.reach(remote);
    this.servers.set(remote, server);
    return server;
  }

  /** The server a remote names or, where that one cannot be reached and is a member of a cluster, another member. */
  private async reach(remote: string): Promise<Server> {
    const endpoint = this.config.endpoint(remote);
    const project = this.projectOf(remote);
    const connect = (to = endpoint): Promise<Server> => {
      const api = this.apiAt(to, project);
      return Server.connect(remote, api, project).catch((error: unknown) => {
        api.close();
        throw error;
      });
    };
    if ('socketPath' in endpoint || this.program === 'lxc') return connect();
    const { ClusterAddresses, firstToAnswer } = await import('./cluster-addresses.js');
    const addresses = new ClusterAddresses(this.config.directory);
    const others = addresses.others(remote, endpoint.url);
    const { server, index } = await firstToAnswer([() => connect(), ...others.map((one) => () => connect({ ...endpoint, url: one }))]);
    if (index > 0 && !this.flags.bool('quiet')) this.note(`${endpoint.url} cannot be reached: asking ${others[index - 1]}`);
    await addresses.remember(remote, endpoint.url, server);
    return server;
  }

  /** Whether a remote is a socket on this machine. */
  isLocal(remote: string): boolean { return 'socketPath' in this.config.endpoint(remote); }

  /** A connection to a remote of protocol `lxd`, nothing asked yet. */
  api(remote: string, project = this.projectOf(remote)): ApiClient {
    return this.apiAt(this.config.endpoint(remote), project);
  }

  /** A connection to a server that no remote names. */
  apiAt(endpoint: ApiEndpoint, project = ''): ApiClient {
    return new ApiClient(endpoint, { project, userAgent: `${this.program} ${version}`, trace: this.trace, idleTimeoutMs: timeouts() });
  }

  private get trace(): ((line: string) => void) | undefined {
    return this.flags.bool('debug') ? (line) => this.terminal.err(`DEBUG ${line}\n`) : undefined;
  }

  /** Waits for an operation and shows how far it is. Interrupted, it asks the server to cancel. */
  async wait(server: Server, answer: ApiAnswer<unknown>, what = ''): Promise<Operation> {
    if (answer.type === 'sync') return followOperation(server.api, answer);
    const progress = new Progress(this.terminal, what, this.flags.bool('quiet'));
    const path = answer.operation.split('?')[0]!;
    let interrupts = 0;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const interrupted = (): void => {
      interrupts++;
      if (interrupts >= 3) return reject(invalid('User signaled us three times, exiting. The remote operation will keep running'));
      server.api.call('DELETE', path).then(
        () => reject(invalid('Remote operation canceled by user')),
        (error: Error) => progress.note(`${error.message} (interrupt two more times to force)`),
      );
    };
    process.on('SIGINT', interrupted);
    try {
      const follow = followOperation(server.api, answer, { ...(progress.wanted ? { onUpdate: (operation) => progress.update(operation) } : {}), everyMs: progress.everyMs, stallMs: timeouts().read });
      return await Promise.race([follow, stopped]);
    } finally {
      process.off('SIGINT', interrupted);
      progress.end();
    }
  }

  /** One request that may end in an operation; waits for it. */
  async run(server: Server, method: string, path: string, body?: unknown, what = '', headers: Readonly<Record<string, string>> = {}): Promise<Operation> {
    return this.wait(server, await server.api.call(method, path, { body, headers }), what);
  }

  close(): void {
    for (const server of this.servers.values()) server.api.close();
  }
}

/** How long a server may say nothing. `ROOST_TIMEOUT`, in seconds, overrides both. */
function timeouts(): { read: number; write: number } {
  const asked = Number(process.env['ROOST_TIMEOUT'] ?? '') * 1000;
  return asked > 0 ? { read: asked, write: asked } : { read: 45_000, write: 300_000 };
}
