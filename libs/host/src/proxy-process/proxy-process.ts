import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';
import { internal } from '#kernel';
import { readKernelFile } from '../cgroup/cgroup-files.js';
import { isAlive, signalProcess, type ProcessStamp } from '../proc/process-stamp.js';

export interface ProxyEndpoint {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  /** IP address, `*` for everywhere (of a listener), path, or `@name`. */
  readonly address: string;
  /** 0 for unix sockets. */
  readonly port: number;
}

/** A proxy between the host's side and a container's. One endpoint to connect to, or as many as listen. */
export interface ProxySetup {
  readonly init: ProcessStamp;
  /** Side that listens. */
  readonly bind: 'host' | 'instance';
  /** Whether the container has ids of its own. */
  readonly userNamespace: boolean;
  /** Send version 1 of the PROXY protocol's header. */
  readonly header: boolean;
  /** Who to be once it listens, on the side that connects; null for root there. */
  readonly uid: number | null;
  readonly gid: number | null;
  /** Of a listening unix socket with a path. */
  readonly owner: number;
  readonly group: number;
  /** Octal. */
  readonly mode: string;
  readonly listen: readonly ProxyEndpoint[];
  readonly connect: readonly ProxyEndpoint[];
  readonly pidFile: string;
  readonly logFile: string;
}

const SIGKILL = 9;

/** Proxies as processes of their own (libs/host/native/proxy.c): they outlive us and end with the container. */
export class ProxyProcesses {
  constructor(private readonly commands: CommandRunner, private readonly helperPath: string) {}

  /** Resolves when it listens. @throws `internal` with the line it said. */
  async start(setup: ProxySetup): Promise<void> {
    try {
      await this.commands.run({ argv: [this.helperPath, 'proxy', setup.pidFile, setup.logFile], stdin: setupText(setup) });
    } catch (error) {
      if (error instanceof CommandFailedError && error.stderrTail !== '') throw internal(error.stderrTail, { cause: error });
      throw error;
    }
  }

  /** The process that a pid file names, if it is one of ours and alive. */
  find(pidFile: string): ProcessStamp | null {
    const [pid, startTicks] = (readKernelFile(pidFile) ?? '').trim().split(' ').map(Number);
    if (pid === undefined || startTicks === undefined || !Number.isInteger(pid)) return null;
    return isAlive({ pid, startTicks }) ? { pid, startTicks } : null;
  }

  stop(proxy: ProcessStamp): void {
    signalProcess(proxy, SIGKILL);
  }
}

/** What the helper reads. No value of ours holds a line break but a path could: it would be a line of its own. */
export function setupText(setup: ProxySetup): string {
  const lines = [
    `init ${setup.init.pid} ${setup.init.startTicks}`, `bind ${setup.bind}`, ...(setup.userNamespace ? ['userns 1'] : []), ...(setup.header ? ['header 1'] : []),
    ...(setup.uid === null ? [] : [`uid ${setup.uid}`]), ...(setup.gid === null ? [] : [`gid ${setup.gid}`]),
    `owner ${setup.owner}`, `group ${setup.group}`, `mode ${setup.mode}`,
    ...setup.listen.map((endpoint) => `listen ${endpointText(endpoint)}`), ...setup.connect.map((endpoint) => `connect ${endpointText(endpoint)}`),
  ];
  if (lines.some((line) => line.includes('\n'))) throw internal('A line break is not allowed in an address');
  return `${lines.join('\n')}\n`;
}

function endpointText({ protocol, address, port }: ProxyEndpoint): string {
  return protocol === 'unix' ? `unix ${address}` : `${protocol} ${address} ${port}`;
}
