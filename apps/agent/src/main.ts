import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { Command } from 'commander';
import { conflict, Deadline, invalid, messageOf, StateDirectory } from '#kernel';
import { tryLockFile } from '#host';
import { AgentServer, buildIdentity } from '#platform/rpc';
import { bindDrivers } from './bindings.js';
import { AgentLogger } from './agent.logger.js';
import { hostService } from './services/host.service.js';
import { instanceService } from './services/instance.service.js';
import { networkService } from './services/network.service.js';
import { storageService } from './services/storage.service.js';
import { prepareStateDirectory, type DaemonUser } from './state-preparation.js';

/** Raised when a daemon and an agent of different builds must not work together (`HelloReply.protocol`). */
const protocol = 2;

interface AgentOptions {
  readonly stateDir: string;
  readonly daemonUser: string;
  readonly supervised?: boolean;
  readonly build?: string;
  readonly debug?: boolean;
}

/**
 * The local agent: root, no database, told everything by each call. It ends by SIGTERM or by the daemon's word and leaves instances, networks and
 * running dnsmasq as they are; the next agent finds them again.
 */
async function main(options: AgentOptions): Promise<void> {
  if (process.getuid?.() !== 0) throw invalid('The agent must run as root');
  const state = new StateDirectory(options.stateDir.replace(/\/+$/, ''));
  const logger = new AgentLogger(options.debug ? 'debug' : 'info');
  const user = daemonUser(options.daemonUser);
  process.umask(0o022);
  const stateId = prepareStateDirectory(state, user);
  const lock = lockState(state, options.supervised === true);

  const drivers = await bindDrivers({ state, stateId, logger, daemon: user });
  const server = new AgentServer(logger);
  const identity = {
    pid: process.pid, protocol, build: options.build ?? buildIdentity(), stateId,
    mountNamespace: statSync('/proc/self/ns/mnt').ino, networkNamespace: statSync('/proc/self/ns/net').ino,
  };
  const stopped = Promise.withResolvers<void>();
  server.addService('Host', hostService(drivers.host, identity, stopped.resolve));
  server.addService('Storage', storageService(drivers));
  server.addService('Network', networkService(drivers.network));
  server.addService('Instance', instanceService(drivers));
  await server.listen(state.agentSocket, 0o660, user.gid);
  logger.info('Agent started', { pid: process.pid, state: state.root });

  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopped.resolve());
  await stopped.promise;
  await server.close(1_000);
  await drivers.close();
  closeSync(lock);
}

/**
 * One agent per state directory (hazards B1); the kernel releases the lock with the process. A predecessor that is ending is waited for, but not by one
 * whose daemon is gone: the next daemon has an agent, and would never learn of this one.
 */
function lockState(state: StateDirectory, supervised: boolean): number {
  const parent = process.ppid;
  const fd = openSync(`${state.agentRun}/agent.lock`, 'a', 0o600);
  const deadline = new Deadline(10_000);
  while (!tryLockFile(fd)) {
    if (deadline.passed) throw conflict(`Another agent runs on ${state.root}`);
    if (supervised && process.ppid !== parent) throw conflict(`The daemon that started this agent for ${state.root} has ended`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return fd;
}

function daemonUser(name: string): DaemonUser {
  if (name === '' || name === 'root') return { uid: 0, gid: 0 };
  const fields = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([login]) => login === name);
  if (!fields) throw invalid(`No user named "${name}"`);
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

const program = new Command('roost-agent')
  .description('The local agent: host work for the daemon of one state directory')
  .requiredOption('--state-dir <path>', 'State directory')
  .option('--daemon-user <name>', 'User the daemon runs as', 'root')
  .option('--supervised', 'Started by the daemon, which also ends it')
  .option('--build <id>', 'Build to report; a daemon names its own, since the installed files may be replaced under a running one')
  .option('--debug', 'Show all debug messages');
program.parse();
try {
  await main(program.opts<AgentOptions>());
  process.exit(0);
} catch (error) {
  process.stderr.write(`Error: ${messageOf(error)}\n`);
  process.exit(1);
}
